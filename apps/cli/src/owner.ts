import type { User } from "@restante/engine";
import type { Config } from "@restante/host";
import { askSecret } from "./ask.ts";
import { type Context, getUser, openContext, readPepper } from "./context.ts";
import type { Flags } from "./flags.ts";

export type OwnerCommand<A extends readonly [string, ...string[]]> = (
  config: Config,
  args: A,
  flags: Flags,
) => Promise<number>;

interface Owner {
  readonly tools: Context & { readonly pepper: Uint8Array };
  readonly user: User;
  /** Not tried yet. */
  readonly password: string;
}

/** A command of an account's owner, who is asked for the password: `work` gets the arguments after the address. */
export function withOwner<R extends readonly string[]>(
  work: (owner: Owner, rest: R, flags: Flags) => Promise<number>,
): OwnerCommand<readonly [string, ...R]> {
  return async (config, [address, ...rest], flags) => {
    await using context = await openContext(config);
    const user = await getUser(context, address);
    const tools = { ...context, pepper: await readPepper(config) };
    // The context is disposed of only after `work` has ended.
    return await work({ tools, user, password: await askSecret("Password: ", flags) }, rest, flags);
  };
}
