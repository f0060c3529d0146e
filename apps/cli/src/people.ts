import { Accounts, DirectoryLogin, networkOf } from "@restante/engine";
import { Gate } from "@restante/host";
import { type Context, readPepper } from "./context.ts";
import type { SignIn } from "./sign-in.ts";

/** The accounts, sign-in and gate that all services for owners share: an account is open once, whichever services its owner
 * uses. */
export interface People {
  readonly context: Context;
  readonly accounts: Accounts;
  readonly login: SignIn;
  readonly gate: Gate;
}

export async function openPeople(context: Context): Promise<People> {
  const { config, store, users, passwords, platform } = context;
  const pepper = await readPepper(config);
  const accounts = new Accounts({ store, users, platform, pepper });
  const login = passwords ? new DirectoryLogin({ accounts, users: passwords, store, platform, pepper }) : accounts;
  return {
    context,
    accounts,
    login: (name, password, address) => login.login(name, password, address),
    gate: new Gate({ networkOf }),
  };
}
