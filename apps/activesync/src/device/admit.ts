import { Problem } from "@restante/host";
import type { Context } from "../context.ts";
import { DEVICES_MAX } from "../limits.ts";
import { CommandError, STATUS } from "../protocol/status.ts";
import { DEVICES, type Device, encodeDevice, findDevice, newDevice } from "./device.ts";
import { type Policy, policyHash } from "./policy.ts";

export interface AdmitOptions {
  readonly policy: Policy;
  readonly allowsOutlook: boolean;
}

export interface Admitted {
  /** Undefined for one that was never here. */
  readonly device: Device | undefined;
}

/** Phones that ask with this name only look whether there is a server: Android's set-up. */
const NOBODY = "validate";
/** True for the name by which a phone only looks for a server. No device is kept for it. */
export function isNobody({ deviceId }: Pick<Context, "deviceId">): boolean {
  return deviceId === NOBODY;
}

/** Types that agree to no policy, and are let in without. */
const WITHOUT_POLICY: ReadonlySet<string> = new Set(["windowsoutlook", "windowsoutlook15"]);

/** Lets a phone's command in. Throws CommandError with a common status, and Problem 403 for Outlook's servers. Errors:
 * `unavailable`. */
export async function admitDevice(command: string, context: Context, options: AdmitOptions): Promise<Admitted> {
  const { session, deviceId, deviceType, userAgent } = context;
  if (!options.allowsOutlook && (/^outlook-(?:ios|android)/i.test(userAgent) || /^outlook$/i.test(deviceType)))
    throw new Problem(
      403,
      "Outlook for phones hands your password and your mail to its maker's servers, which would then read your mail: use " +
        "the mail program of your phone",
    );
  const device = await findDevice(session, deviceId);
  if (device?.standing === "wiped") throw new CommandError(STATUS.deviceBlocked, "the device was erased");
  if (!device && session.state.records.list(DEVICES).length >= DEVICES_MAX)
    throw new CommandError(STATUS.tooManyDevices, "the account has too many devices");
  if (command === "Provision") return { device };
  const isWipeAsked = device?.standing === "wipe-account" || device?.standing === "wipe-all";
  if (isWipeAsked) throw new CommandError(STATUS.wipeRequested, "the device is to be erased");
  if (isNobody(context)) return { device };
  if (WITHOUT_POLICY.has(deviceType.toLowerCase())) {
    if (device) return { device };
    // Such a phone agrees to nothing, and is one of the account's devices all the same: counted, listed, erased.
    const known = newDevice(deviceId, deviceType, userAgent, context.now());
    await session.writeRecords([encodeDevice(known)]);
    return { device: known };
  }
  if (!device || device.policyKey === 0) throw new CommandError(STATUS.notProvisioned, "provision first");
  // A Ping may leave its key out.
  if (command === "Ping" && context.policyKey === 0) return { device };
  if (context.policyKey === 0) throw new CommandError(STATUS.notProvisioned, "provision first");
  if (context.policyKey !== device.policyKey) throw new CommandError(STATUS.policyKeyWrong, "provision again");
  if (device.policy !== (await policyHash(options.policy)))
    throw new CommandError(STATUS.policyChanged, "provision again");
  return { device };
}
