import { hexText } from "@restante/engine";
import type { Element } from "wbxml";
import { empty, group, leaf } from "../protocol/elements.ts";
import type { Version } from "../protocol/version.ts";

/** Rules that a phone must agree to: MS-ASPROV §2.2.2.28. */
export interface Policy {
  /** A password of at least so many characters; 0: none is asked for. */
  readonly passwordLengthMin: number;
  /** Seconds after which a phone locks itself; 0: never. */
  readonly lockSeconds: number;
  /** Wrong passwords after which it erases itself, 4 to 16; 0: never. */
  readonly wrongPasswordsMax: number;
  readonly encryption: boolean;
  readonly camera: boolean;
}
export const NO_POLICY: Policy = {
  passwordLengthMin: 0,
  lockSeconds: 0,
  wrongPasswordsMax: 0,
  encryption: false,
  camera: true,
};

const NEVER_LOCKS = 9999;

/** In the order of its page. Empty elements stand where nothing is asked for. */
export function policyDocument(policy: Policy, version: Version): Element {
  const { passwordLengthMin, lockSeconds, wrongPasswordsMax, encryption, camera } = policy;
  const flag = (name: string, on: boolean): Element => leaf(`Provision:${name}`, on ? 1 : 0);
  const wanted = (name: string, value: number): Element =>
    value === 0 ? empty(`Provision:${name}`) : leaf(`Provision:${name}`, value);
  const first = [
    flag("DevicePasswordEnabled", passwordLengthMin > 0),
    flag("AlphanumericDevicePasswordRequired", false),
    flag("PasswordRecoveryEnabled", false),
    flag("AttachmentsEnabled", true),
    wanted("MinDevicePasswordLength", passwordLengthMin),
    leaf("Provision:MaxInactivityTimeDeviceLock", lockSeconds || NEVER_LOCKS),
    wanted("MaxDevicePasswordFailedAttempts", wrongPasswordsMax),
    empty("Provision:MaxAttachmentSize"),
    flag("AllowSimpleDevicePassword", true),
    leaf("Provision:DevicePasswordExpiration", 0),
    leaf("Provision:DevicePasswordHistory", 0),
  ];
  if (version < 12.1) return group("Provision:EASProvisionDoc", ...first);
  const allowed = (...names: readonly string[]): Element[] => names.map((name) => flag(name, true));
  return group(
    "Provision:EASProvisionDoc",
    ...first.slice(0, 2),
    flag("RequireStorageCardEncryption", false),
    ...first.slice(2),
    ...allowed("AllowStorageCard"),
    flag("AllowCamera", camera),
    flag("RequireDeviceEncryption", encryption),
    ...allowed("AllowUnsignedApplications", "AllowUnsignedInstallationPackages"),
    leaf("Provision:MinDevicePasswordComplexCharacters", 1),
    ...allowed("AllowWiFi", "AllowTextMessaging", "AllowPOPIMAPEmail"),
    leaf("Provision:AllowBluetooth", 2),
    ...allowed("AllowIrDA"),
    flag("RequireManualSyncWhenRoaming", false),
    ...allowed("AllowDesktopSync"),
    leaf("Provision:MaxCalendarAgeFilter", 0),
    ...allowed("AllowHTMLEmail"),
    leaf("Provision:MaxEmailAgeFilter", 0),
    leaf("Provision:MaxEmailBodyTruncationSize", -1),
    leaf("Provision:MaxEmailHTMLBodyTruncationSize", -1),
    flag("RequireSignedSMIMEMessages", false),
    flag("RequireEncryptedSMIMEMessages", false),
    leaf("Provision:RequireSignedSMIMEAlgorithm", 0),
    leaf("Provision:RequireEncryptionSMIMEAlgorithm", 0),
    leaf("Provision:AllowSMIMEEncryptionAlgorithmNegotiation", 2),
    ...allowed(
      "AllowSMIMESoftCerts",
      "AllowBrowser",
      "AllowConsumerEmail",
      "AllowRemoteDesktop",
      "AllowInternetSharing",
    ),
  );
}

/** The policy by what is in it alone: not by the protocol's version. */
export async function policyHash(policy: Policy): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(policy));
  return hexText(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).subarray(0, 8));
}
