import type { QuotaLimits } from "@restante/engine";
import type { Config } from "@restante/host";

/** Numbers of octets and messages, 0 for any; what is not said is as for all. */
type Limits = Partial<Record<"bytes" | "messages", number>>;

/** Quotas of accounts: the configuration's, which hold for all, and those of single accounts from a directory. */
export class OwnQuotas {
  readonly #all: Config["quota"];
  readonly #own = new Map<string, QuotaLimits>();

  constructor({ quota }: Pick<Config, "quota">) {
    this.#all = quota;
  }

  get ofAll(): QuotaLimits {
    return this.#limitsOf({});
  }

  /** By an account's id in hex. */
  readonly of = (account: string): QuotaLimits | undefined => this.#own.get(account);

  readonly limit = (account: string, limits: Limits): void => {
    if (limits.bytes === undefined && limits.messages === undefined) this.#own.delete(account);
    else this.#own.set(account, this.#limitsOf(limits));
  };

  #limitsOf({ bytes = this.#all.bytes, messages = this.#all.messages }: Limits): QuotaLimits {
    return { bytesMax: bytes || undefined, messagesMax: messages || undefined };
  }
}
