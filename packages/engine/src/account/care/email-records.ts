import { hexBytes } from "../../bay/entry.ts";
import type { Mail } from "../../mail/mail.ts";

/** Types of records that are about one email each, by its id in hex: what phones say of a mail beside its flags. */
const EMAIL_RECORDS: readonly string[] = ["phone-marks"];
/** Records that end by one op. */
const RECORDS_AT_ONCE = 1000;
const EMAIL_ID = /^[0-9a-f]{32}$/;

/**
 * Ends records of emails that are there no more. Nothing is left of an expunged mail, and an account has room for so many
 * records only. Resolves with whether a checkpoint is to be made without them: none is to come by itself. Errors:
 * `unavailable`.
 */
export async function endEmailRecords(mail: Mail): Promise<boolean> {
  const { state } = mail;
  const gone = EMAIL_RECORDS.flatMap((type) => state.records.list(type)).filter(({ id }) => {
    const email = EMAIL_ID.test(id) ? state.findEmail(hexBytes(id)) : undefined;
    return email === undefined || !state.isHeld(email);
  });
  for (let at = 0; at < gone.length; at += RECORDS_AT_ONCE) {
    const some = gone.slice(at, at + RECORDS_AT_ONCE);
    await mail.writeRecords(some.map(({ type, id }) => ({ type, id, value: undefined })));
  }
  return gone.length > 0 && mail.state.sweep.due === undefined;
}
