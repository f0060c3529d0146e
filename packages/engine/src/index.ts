/** The engine's door for front ends. The part that needs Node is behind `@restante/engine/node`. */

export { type CheckReport, checkAccount, type Finding } from "./account/care/check.ts";
export { checkSealed, type SealedObject } from "./account/care/check-sealed.ts";
export { acceptHistory } from "./account/care/history.ts";
export { QuietEntries } from "./account/care/quiet-entries.ts";
export { DAMAGED, RECOVERED } from "./account/care/repair.ts";
export { type SalvagedMail, type SalvageReport, salvage } from "./account/care/salvage.ts";
export { type Deliverer, Dropbox } from "./account/delivery/dropbox.ts";
export {
  type AddedMessage,
  type Addition,
  APPEND_BYTES_MAX,
  APPEND_EMAILS_MAX,
  type Prepared,
} from "./account/delivery/message-writer.ts";
export { Handover, Unsettled } from "./account/delivery/unsettled.ts";
export { type SeenRecords, trustRecord, VouchedUsers } from "./account/delivery/vouched-users.ts";
export type { DevicePlace, DeviceStates } from "./account/devices/device-states.ts";
export type { EmailEdit } from "./account/edit-emails.ts";
export {
  type AppPassword,
  addAppPassword,
  listAppPasswords,
  revokeAppPassword,
} from "./account/keys/app-passwords.ts";
export { changePassword, isRecoveryCode, recoverAccount } from "./account/keys/passwords.ts";
export { rotateAccount } from "./account/keys/rotate.ts";
export { listTokens, type NewToken, revokeToken, type TokenEntry } from "./account/keys/tokens.ts";
export { type MandateKind, MandateStore } from "./account/mandates/mandate-store.ts";
export type { Mandate } from "./account/mandates/mandates.ts";
export { Responder, type ResponderOptions } from "./account/mandates/responder.ts";
export { NO_VACATION, VACATION, type Vacation } from "./account/mandates/vacation.ts";
export { backUpAccount, restoreAccount } from "./account/moving/back-up-account.ts";
export { type CopyReport, measureAccount } from "./account/moving/copier.ts";
export { deleteAccount, isDeleted, sweepEnded } from "./account/moving/delete-account.ts";
export { moveAccount } from "./account/moving/move-account.ts";
export type { OutboundMove, OutboundPlace } from "./account/moving/move-outbound.ts";
export { AccountReporter, type AccountReporterOptions } from "./account/outbound/account-reporter.ts";
export { setQueueAside } from "./account/outbound/after-restore.ts";
export { type EndedKeeper, setOlderAside } from "./account/outbound/older-history.ts";
export { OutboundQueue, type QueuePlace } from "./account/outbound/queue.ts";
export { type Envelope, parseNotify, type Recipient } from "./account/outbound/queued.ts";
export {
  type OutgoingMail,
  Sender,
  type Transport,
  type TransportReply,
  TransportTrouble,
} from "./account/outbound/sender.ts";
export { SUBMISSION, type Submission, type UndoStatus } from "./account/outbound/submission.ts";
export {
  HOLD_MS_MAX,
  type Outbound,
  type SubmitLimits,
  SubmitRefusal,
  type SubmitRequest,
} from "./account/outbound/submit.ts";
export type { LogEvent, Platform, WitnessKeeper } from "./account/platform.ts";
export type { PushSubscriptionKeys } from "./account/push/push-subscription.ts";
export {
  type KnownSubscription,
  type NewPushSubscription,
  PushRefusal,
  type PushSubscriptionChange,
} from "./account/push/push-subscriptions.ts";
export {
  Pusher,
  type PushMessage,
  type PushNews,
  type PushReply,
  type PushTransport,
  type PushWords,
} from "./account/push/pusher.ts";
export { QuotaExceeded, type QuotaLimits, type QuotaUsage } from "./account/quota.ts";
export { AccountSession, type SearchOptions } from "./account/session.ts";
export { Accounts, type AccountsOptions } from "./account/sign-in/accounts.ts";
export type { Attendant, News } from "./account/sign-in/attendances.ts";
export { networkOf, plainAddress } from "./account/sign-in/client-address.ts";
export { DirectoryLogin } from "./account/sign-in/directory-login.ts";
export {
  type RequestCredential,
  type RequestSession,
  RequestSessions,
} from "./account/sign-in/request-sessions.ts";
export { type SignUp, signUp } from "./account/sign-in/sign-up.ts";
export { TICKET_MS, Tickets, type TicketsOptions } from "./account/sign-in/tickets.ts";
export {
  accountPrefix,
  normalizeAddress,
  type OwnBucket,
  type PasswordDirectory,
  type User,
  type UserDirectory,
} from "./account/sign-in/users.ts";
export { hexBytes, hexText } from "./bay/entry.ts";
export {
  decodeRecipientRecord,
  encodeRecipientRecord,
  fingerprintOf,
  KEM_PUBLIC_KEY_BYTES as SERVER_PUBLIC_KEY_BYTES,
  pushSeed,
  type RecipientRecord,
  ready,
  SERVER_KEY_BYTES,
  type SigningKeyPair,
  serverPublicKey,
  signingKeyPair,
} from "./crypto/index.ts";
export { EngineError, type EngineErrorCode } from "./errors.ts";
export type { Body } from "./mail/contents/contents.ts";
export { previewOf, type Summary } from "./mail/contents/summary.ts";
export { type Copied, PATH_BYTES_MAX, PATH_DEPTH_MAX } from "./mail/mail.ts";
export { MailboxView, type Message, type ViewChanges } from "./mail/mailbox-view.ts";
export {
  asModSeq,
  asUid,
  type EmailRow,
  FIRST_UID,
  higherOf,
  lowerOf,
  type ModSeq,
  modSeqBefore,
  NO_MODSEQ,
  NO_UID,
  positionOf,
  type Row,
  type SequenceNumber,
  sequenceNumberAt,
  type Uid,
  uidAfter,
  uidBefore,
} from "./mail/numbers.ts";
export type { MailboxId, MembershipName } from "./mail/ops/names.ts";
export type { FlagChange, FolderStep, NewRecord, SpecialUse, StateClaim } from "./mail/ops/op.ts";
export type { Outcome } from "./mail/ops/outcome.ts";
export type { UidSpan } from "./mail/state/feed.ts";
export type { ReadMailbox, ReadState } from "./mail/state/read-state.ts";
export {
  type Changes,
  emailChanges,
  type MailboxListChanges,
  mailboxListChanges,
  mailboxListPoint,
  type Point,
  recordChanges,
  threadChanges,
} from "./query/changes.ts";
export type { Condition, DateCondition, UidRange } from "./query/condition.ts";
export type { Searched } from "./query/filter.ts";
export { ForwardReader } from "./query/forward-reader.ts";
export {
  formatBlobId,
  formatEmailId,
  formatMailboxId,
  formatThreadId,
  parseBlobId,
  parseEmailId,
  parseMailboxId,
  parseThreadId,
} from "./query/ids.ts";
export type { Lists } from "./query/lists.ts";
export type { QueryChanges, QueryChangesOptions } from "./query/live.ts";
export type { EmailCounts } from "./query/mailbox-lists.ts";
export { type Held, type HeldChanges, heldChanges, MembershipSet } from "./query/membership-set.ts";
export type { Pace } from "./query/pace.ts";
export { partBody, partsOfSummary } from "./query/parts.ts";
export type { EmailPage, EmailQuery, Page } from "./query/query-emails.ts";
export {
  emailIdOf,
  firstShownAt,
  idOfEmail,
  lastChangeOf,
  savedMsOf,
  sizeOfEmail,
  uidOf,
} from "./query/row-facts.ts";
export type { ShownEmail } from "./query/shown-email.ts";
export type { SortKey, SortProperty } from "./query/sort.ts";
export type { Snippet } from "./query/text.ts";
export type { ThreadAlgorithm, Threads } from "./query/threading/threads.ts";
export { readAhead } from "./read-ahead.ts";
export { type ObjectStore, StoreError, type StoreErrorCode } from "./storage/object-store.ts";
export { tap } from "./streams.ts";
