import { boolean, type Element, element, one, optional, type Schema, schema, group as shapeOf, text } from "wbxml";
import type { Context } from "../context.ts";
import { isNobody } from "../device/admit.ts";
import { type Device, encodeDevice, findDevice, newDevice } from "../device/device.ts";
import { group, leaf } from "../protocol/elements.ts";
import { valuesOf } from "../protocol/read.ts";
import { outOfOffice } from "./out-of-office.ts";

/** Statuses: MS-ASCMD §2.2.3.177.15. */
const OK = 1;
const PROTOCOL = 2;
const BAD_ARGUMENTS = 5;
const DENIED_BY_POLICY = 7;
const PASSWORD_CHARS_MAX = 256;
const WORD_CHARS_MAX = 1024;

interface InformationValues {
  readonly set: {
    readonly model: string | null;
    readonly imei: string | null;
    readonly name: string | null;
    readonly os: string | null;
    readonly language: string | null;
    readonly phone: string | null;
    readonly userAgent: string | null;
    readonly sms: boolean | null;
    readonly operator: string | null;
  };
}

/** A phone's description of itself: MS-ASCMD §2.2.3.45. */
export const DEVICE_INFORMATION: Schema<InformationValues> = schema(
  "Settings:DeviceInformation",
  shapeOf({
    set: one(
      "Settings:Set",
      shapeOf({
        model: optional("Settings:Model", text(WORD_CHARS_MAX)),
        imei: optional("Settings:IMEI", text(WORD_CHARS_MAX)),
        name: optional("Settings:FriendlyName", text(WORD_CHARS_MAX)),
        os: optional("Settings:OS", text(WORD_CHARS_MAX)),
        language: optional("Settings:OSLanguage", text(WORD_CHARS_MAX)),
        phone: optional("Settings:PhoneNumber", text(WORD_CHARS_MAX)),
        userAgent: optional("Settings:UserAgent", text(WORD_CHARS_MAX)),
        sms: optional("Settings:EnableOutboundSMS", boolean),
        operator: optional("Settings:MobileOperator", text(WORD_CHARS_MAX)),
      }),
    ),
  }),
);

export function deviceInformation({ set }: InformationValues): Partial<Device> {
  const { name, model, os, userAgent } = set;
  const told = { name, model, os, userAgent };
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== null)) as Partial<Device>;
}

const SETTINGS = schema(
  "Settings:Settings",
  shapeOf({
    oof: optional("Settings:Oof", element),
    information: optional("Settings:DeviceInformation", element),
    password: optional(
      "Settings:DevicePassword",
      shapeOf({
        set: optional(
          "Settings:Set",
          shapeOf({ password: optional("Settings:Password", text(PASSWORD_CHARS_MAX * 4)) }),
        ),
      }),
    ),
    user: optional("Settings:UserInformation", element),
    rights: optional("Settings:RightsManagementInformation", element),
  }),
);

/** Settings: MS-ASCMD §2.2.1.18. Each property is answered, in the order in which they are asked for. */
export async function settings(body: Element | undefined, context: Context): Promise<Element> {
  if (!body || body.children.length === 0 || !valuesOf(SETTINGS, body))
    return answer(leaf("Settings:Status", PROTOCOL));
  const answers: Element[] = [];
  for (const asked of body.children) answers.push(await property(asked, context));
  return answer(leaf("Settings:Status", OK), ...answers);
}

function answer(...children: readonly Element[]): Element {
  return group("Settings:Settings", ...children);
}

async function property(asked: Element, context: Context): Promise<Element> {
  const answered = (status: number, ...more: readonly Element[]): Element =>
    group(asked.tag, leaf("Settings:Status", status), ...more);
  switch (asked.tag) {
    case "Settings:DeviceInformation":
      return answered(await keepInformation(asked, context));
    case "Settings:UserInformation":
      return answered(OK, userInformation(context));
    case "Settings:DevicePassword":
      // No password that could be given back is kept.
      return answered(DENIED_BY_POLICY);
    case "Settings:RightsManagementInformation":
      return answered(OK, group("Settings:Get", group("RightsManagement:RightsManagementTemplates")));
    default:
      return outOfOffice(asked, context);
  }
}

async function keepInformation(asked: Element, context: Context): Promise<number> {
  const { session, deviceId, deviceType, userAgent, now } = context;
  const values = valuesOf(DEVICE_INFORMATION, asked);
  if (!values) return BAD_ARGUMENTS;
  if (isNobody(context)) return OK;
  const known = (await findDevice(session, deviceId)) ?? newDevice(deviceId, deviceType, userAgent, now());
  await session.writeRecords([encodeDevice({ ...known, ...deviceInformation(values) })]);
  return OK;
}

function userInformation({ session, version }: Context): Element {
  const addresses = (...more: readonly Element[]): Element =>
    group("Settings:EmailAddresses", leaf("Settings:SMTPAddress", session.address), ...more);
  if (version < 14.1) return group("Settings:Get", addresses());
  return group(
    "Settings:Get",
    group(
      "Settings:Accounts",
      group("Settings:Account", addresses(leaf("Settings:PrimarySmtpAddress", session.address))),
    ),
  );
}
