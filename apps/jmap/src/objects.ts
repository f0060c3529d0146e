import { DIGESTS, GET_PROPERTIES } from "./blob/methods.ts";
import { EMAIL_PROPERTIES, PART_PROPERTIES } from "./email/properties.ts";
import { MAILBOX_PROPERTIES } from "./mailbox/mailbox.ts";
import { IDENTITY_PROPERTIES } from "./submission/identity.ts";
import { SUBMISSION_PROPERTIES } from "./submission/object.ts";
import { THREAD_PROPERTIES } from "./thread/thread.ts";
import { VACATION_PROPERTIES } from "./vacation/vacation.ts";

/** The properties of each type of object. */
export const PROPERTIES: Readonly<Record<string, readonly string[]>> = {
  Mailbox: MAILBOX_PROPERTIES,
  Thread: THREAD_PROPERTIES,
  Email: EMAIL_PROPERTIES,
  EmailBodyPart: PART_PROPERTIES,
  Identity: IDENTITY_PROPERTIES,
  EmailSubmission: SUBMISSION_PROPERTIES,
  VacationResponse: VACATION_PROPERTIES,
  Blob: [...GET_PROPERTIES, ...Object.keys(DIGESTS)],
};
