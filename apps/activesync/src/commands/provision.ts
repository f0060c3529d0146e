import { type Element, element, integer, many, optional, readValues, schema, group as shapeOf, text } from "wbxml";
import type { Context } from "../context.ts";
import { isNobody } from "../device/admit.ts";
import { type Device, encodeDevice, newDevice } from "../device/device.ts";
import { type Policy, policyDocument, policyHash } from "../device/policy.ts";
import { empty, group, leaf } from "../protocol/elements.ts";
import { valuesOf } from "../protocol/read.ts";
import { CommandError, STATUS } from "../protocol/status.ts";
import { DEVICE_INFORMATION, deviceInformation } from "./settings.ts";

const PROVISION = schema(
  "Provision:Provision",
  shapeOf({
    information: optional("Settings:DeviceInformation", element),
    policies: optional(
      "Provision:Policies",
      shapeOf({
        list: many(
          "Provision:Policy",
          shapeOf({
            type: optional("Provision:PolicyType", text(256)),
            key: optional("Provision:PolicyKey", text(64)),
            status: optional("Provision:Status", integer(0, 255)),
            data: optional("Provision:Data", element),
          }),
          8,
        ),
      }),
    ),
    wipe: optional("Provision:RemoteWipe", shapeOf({ status: optional("Provision:Status", integer(0, 255)) })),
    accountWipe: optional(
      "Provision:AccountOnlyRemoteWipe",
      shapeOf({ status: optional("Provision:Status", integer(0, 255)) }),
    ),
  }),
);

const TYPE = "MS-EAS-Provisioning-WBXML";
/** Statuses: MS-ASPROV §2.2.2.54. */
const OK = 1;
const PROTOCOL = 2;
const TYPE_UNKNOWN = 3;
const KEY_WRONG = 5;
/** The phone's status of a policy that it did not apply: MS-ASPROV §2.2.2.54. */
const NOT_APPLIED = 3;

/** Provision, in two phases: MS-ASPROV §3.1.5. `device`: undefined where it was never here. */
export async function provision(
  body: Element | undefined,
  device: Device | undefined,
  policy: Policy,
  context: Context,
): Promise<Element> {
  const values = valuesOf(PROVISION, body);
  if (!values) return answer(leaf("Provision:Status", PROTOCOL));
  const known = device ?? newDevice(context.deviceId, context.deviceType, context.userAgent, context.now());
  if (known.standing === "wipe-account" || known.standing === "wipe-all") return wipe(values, known, context);
  const asked = values.policies?.list[0];
  if (!asked) return answer(leaf("Provision:Status", PROTOCOL));
  const told = informationOf(values.information);
  if (!asked.type) return answer(leaf("Provision:Status", PROTOCOL));
  if (asked.type !== TYPE) {
    const refused = group(
      "Provision:Policy",
      leaf("Provision:PolicyType", asked.type),
      leaf("Provision:Status", TYPE_UNKNOWN),
    );
    return answer(leaf("Provision:Status", OK), group("Provision:Policies", refused));
  }
  if (asked.key === null) return offer({ ...known, ...told }, policy, values.information !== null, context);
  return accept(known, asked.key, asked.status ?? OK, policy, context);
}

type Values = ReturnType<(typeof PROVISION)["shape"]["read"]>;

function answer(...children: readonly (Element | undefined)[]): Element {
  return group("Provision:Provision", ...children);
}

function informationOf(information: Element | null): Partial<Device> {
  return information ? deviceInformation(readValues(DEVICE_INFORMATION, information)) : {};
}

/** A phone that is to be erased is told so, and says when it is about to: MS-ASPROV §3.1.5.1.2.2. */
async function wipe(values: Values, device: Device, context: Context): Promise<Element> {
  if (values.wipe?.status === OK || values.accountWipe?.status === OK) {
    await context.session.writeRecords([encodeDevice({ ...device, standing: "wiped", policyKey: 0 })]);
    return answer(leaf("Provision:Status", OK));
  }
  const all = device.standing === "wipe-all";
  // A phone before 16.1 can't erase one account alone, and all of it must not be erased unasked: the phone is let in no more.
  if (!all && context.version < 16.1) throw new CommandError(STATUS.deviceBlocked);
  return answer(leaf("Provision:Status", OK), empty(all ? "Provision:RemoteWipe" : "Provision:AccountOnlyRemoteWipe"));
}

async function offer(device: Device, policy: Policy, hasInformation: boolean, context: Context): Promise<Element> {
  const { session, version, random } = context;
  if (version >= 14.1 && !hasInformation) throw new CommandError(STATUS.deviceInformationMissing);
  const key = newPolicyKey(random);
  if (!isNobody(context)) await session.writeRecords([encodeDevice({ ...device, offeredKey: key })]);
  return answer(
    hasInformation ? group("Settings:DeviceInformation", leaf("Settings:Status", OK)) : undefined,
    leaf("Provision:Status", OK),
    group(
      "Provision:Policies",
      group(
        "Provision:Policy",
        leaf("Provision:PolicyType", TYPE),
        leaf("Provision:Status", OK),
        leaf("Provision:PolicyKey", key),
        group("Provision:Data", policyDocument(policy, version)),
      ),
    ),
  );
}

async function accept(device: Device, key: string, status: number, policy: Policy, context: Context): Promise<Element> {
  const isRight = isNobody(context) || (device.offeredKey !== 0 && key === String(device.offeredKey));
  const isRefused = status === NOT_APPLIED;
  if (isRefused) throw new CommandError(STATUS.deviceNotCompliant);
  const policyKey = finalKey(device.offeredKey);
  // A phone that acknowledges again has not got the answer. It agrees to the policy that was offered then.
  if (isRight && device.policyKey !== policyKey && !isNobody(context))
    await context.session.writeRecords([encodeDevice({ ...device, policyKey, policy: await policyHash(policy) })]);
  return answer(
    leaf("Provision:Status", OK),
    group(
      "Provision:Policies",
      group(
        "Provision:Policy",
        leaf("Provision:PolicyType", TYPE),
        leaf("Provision:Status", isRight ? OK : KEY_WRONG),
        isRight ? leaf("Provision:PolicyKey", policyKey) : undefined,
      ),
    ),
  );
}

/** Not 0: a uint32 that says that there is one. */
function newPolicyKey(random: (bytes: number) => Uint8Array): number {
  const bytes = random(4);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) || 1;
}

/** The key of the second phase, which follows from that of the first: who agrees twice gets the same. */
function finalKey(offeredKey: number): number {
  return ~offeredKey >>> 0 || 1;
}
