import { forgetDevice, listDevices, type Standing, wipeDevice } from "@restante/activesync";
import type { Config } from "@restante/host";
import { withSession } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { dateOf, print } from "./print.ts";

const STANDINGS: Readonly<Record<Standing, string>> = {
  served: "",
  "wipe-account": "erases the account's data when it next comes",
  "wipe-all": "erases itself when it next comes",
  wiped: "was erased, and is let in no more",
};

/** `restante device list ADDRESS` */
export async function list(config: Config, [address]: readonly [string], flags: Flags): Promise<number> {
  return withSession(config, address, flags, async (session) => {
    const all = await listDevices(session);
    const lines = all.map(({ id, type, firstSeenMs, name, model, os, standing }) =>
      [id, dateOf(firstSeenMs), type, name, model, os, STANDINGS[standing]].filter((word) => word !== "").join("  "),
    );
    print(flags, flags.json ? all : lines);
    return EXIT.well;
  });
}

/** `restante device wipe ADDRESS DEVICE`: what it has of the account, or all of it. */
export async function wipe(
  config: Config,
  [address, id]: readonly [string, string],
  flags: Flags & { readonly eraseDevice: boolean },
): Promise<number> {
  return withSession(config, address, { ...flags, changes: true }, async (session) => {
    if (!(await wipeDevice(session, id, flags.eraseDevice))) throw noDevice(id);
    const what = flags.eraseDevice ? "all that it holds" : "what it has of this account";
    const told = [
      `${id} erases ${what} when it next asks for mail.`,
      "Revoke its password too: a phone that is not asked erases nothing.",
    ];
    print(flags, flags.json ? { wiped: id, all: flags.eraseDevice } : told);
    return EXIT.well;
  });
}

/** `restante device forget ADDRESS DEVICE`: it begins anew if it comes again. */
export async function forget(config: Config, [address, id]: readonly [string, string], flags: Flags): Promise<number> {
  return withSession(config, address, { ...flags, changes: true }, async (session) => {
    if (!(await listDevices(session)).some((device) => device.id === id)) throw noDevice(id);
    await forgetDevice(session, id);
    print(flags, flags.json ? { forgotten: id } : [`${id} is forgotten, and let in again if it comes.`]);
    return EXIT.well;
  });
}

function noDevice(id: string): Exit {
  return new Exit(EXIT.failed, `there is no device ${id}: restante device list shows them`);
}
