import { EngineError } from "../errors.ts";
import type { ReadState } from "../mail/state/read-state.ts";
import type { Platform } from "./platform.ts";

/** Limits of an account; undefined for no limit. */
export interface QuotaLimits {
  /** Octets of all emails, each once, however many mailboxes it is in. */
  readonly bytesMax: number | undefined;
  readonly messagesMax: number | undefined;
}

/** An account's use, and its limits. */
export interface QuotaUsage extends QuotaLimits {
  readonly bytes: number;
  readonly messages: number;
}

export const NO_QUOTA: QuotaLimits = { bytesMax: undefined, messagesMax: undefined };

/** Limits of the account with this id in hex. */
export function limitsOf(
  { quota = NO_QUOTA, quotaOf }: Pick<Platform, "quota" | "quotaOf">,
  account: string,
): QuotaLimits {
  return quotaOf?.(account) ?? quota;
}

/** True if there is any limit. */
export function isLimited({ bytesMax, messagesMax }: QuotaLimits): boolean {
  return bytesMax !== undefined || messagesMax !== undefined;
}

/** An account is full: what only removes goes on. */
export class QuotaExceeded extends EngineError {
  constructor() {
    super("over-quota", "the account is full");
    this.name = "QuotaExceeded";
  }
}

export function usageOf(
  { heldEmails: { bytes, count } }: ReadState,
  { bytesMax, messagesMax }: QuotaLimits,
): QuotaUsage {
  return { bytes, messages: count, bytesMax, messagesMax };
}

/** Throws {@link QuotaExceeded} where so much more would be too much. */
export function checkRoom(usage: QuotaUsage, more: { readonly bytes: number; readonly messages: number }): void {
  const { bytes, messages, bytesMax = Number.POSITIVE_INFINITY, messagesMax = Number.POSITIVE_INFINITY } = usage;
  if (bytes + more.bytes > bytesMax || messages + more.messages > messagesMax) throw new QuotaExceeded();
}
