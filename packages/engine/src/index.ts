/** The engine's door: what front ends use. What needs Node is behind `@restante/engine/node`. */
export { Accounts, type AccountsOptions } from "./account/accounts.ts";
export {
  type AppPassword,
  addAppPassword,
  listAppPasswords,
  revokeAppPassword,
} from "./account/app-passwords.ts";
export { backUpAccount, restoreAccount } from "./account/back-up-account.ts";
export { type CheckReport, checkAccount, type Finding } from "./account/check.ts";
export { checkSealed, type SealedObject } from "./account/check-sealed.ts";
export { type CopyReport, measureAccount } from "./account/copier.ts";
export { deleteAccount } from "./account/delete-account.ts";
export { DirectoryLogin } from "./account/directory-login.ts";
export { type Deliverer, Dropbox } from "./account/dropbox.ts";
export { acceptHistory } from "./account/history.ts";
export { APPEND_BYTES_MAX, APPEND_EMAILS_MAX, type Prepared } from "./account/message-writer.ts";
export { moveAccount } from "./account/move-account.ts";
export { changePassword, isRecoveryCode, recoverAccount } from "./account/passwords.ts";
export type { LogEvent, Platform, WitnessKeeper } from "./account/platform.ts";
export { DAMAGED } from "./account/repair.ts";
export { rotateAccount } from "./account/rotate.ts";
export { type SalvagedMail, type SalvageReport, salvage } from "./account/salvage.ts";
export { AccountSession } from "./account/session.ts";
export { type SignUp, signUp } from "./account/sign-up.ts";
export { Handover, Unsettled } from "./account/unsettled.ts";
export {
  accountPrefix,
  normalizeAddress,
  type OwnBucket,
  type PasswordDirectory,
  type User,
  type UserDirectory,
} from "./account/users.ts";
export {
  decodePublicRecord,
  encodePublicRecord,
  type PublicRecord,
  ready,
  type SigningKeyPair,
  signingKeyPair,
} from "./crypto/index.ts";
export { EngineError, type EngineErrorCode } from "./errors.ts";
export type { Body } from "./mail/contents.ts";
export type { Copied } from "./mail/mail.ts";
export type { Mailbox } from "./mail/mailbox.ts";
export { MailboxView, type Message, type ViewChanges } from "./mail/mailbox-view.ts";
export type { FlagChange } from "./mail/op.ts";
export type { Summary } from "./mail/summary.ts";
export { type ObjectStore, StoreError } from "./storage/object-store.ts";
