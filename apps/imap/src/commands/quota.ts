import { EngineError } from "@restante/engine";
import type { Session } from "../session.ts";
import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

/** The one quota root, if there is a limit at all: all of an account. */
const ROOT = "";
/** Octets that STORAGE counts by: RFC 9208 §5.1. */
const STORAGE_UNIT = 1024;

/** GETQUOTA: RFC 9208 §4.1.1. */
export const getQuota: Command<unknown> = defineCommand({
  name: "GETQUOTA",
  in: SIGNED_IN,
  capabilities: ["QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE"],
  parse(parser) {
    parser.space();
    return parser.astring();
  },
  async run(root, session) {
    const quota = formatQuota(session);
    if (root !== ROOT || quota === undefined) throw new EngineError("not-found", "there is no such quota root");
    session.untagged(quota);
    return ok("GETQUOTA completed");
  },
});

/** GETQUOTAROOT: RFC 9208 §4.1.2. */
export const getQuotaRoot: Command<unknown> = defineCommand({
  name: "GETQUOTAROOT",
  in: SIGNED_IN,
  parse: parseMailbox,
  async run(path, session) {
    const name = session.formatName(session.mail.getMailbox(path).path);
    const quota = formatQuota(session);
    session.untagged(`QUOTAROOT ${name}${quota === undefined ? "" : ` "${ROOT}"`}`);
    if (quota !== undefined) session.untagged(quota);
    return ok("GETQUOTAROOT completed");
  },
});

/** RFC 9208 §4.2.1. Undefined where there is no limit. */
function formatQuota({ mail }: Session): string | undefined {
  const { bytes, messages, bytesMax, messagesMax } = mail.quota;
  const resources = [
    ...(bytesMax === undefined
      ? []
      : [`STORAGE ${Math.ceil(bytes / STORAGE_UNIT)} ${Math.ceil(bytesMax / STORAGE_UNIT)}`]),
    ...(messagesMax === undefined ? [] : [`MESSAGE ${messages} ${messagesMax}`]),
  ];
  return resources.length === 0 ? undefined : `QUOTA "${ROOT}" (${resources.join(" ")})`;
}
