import { addAppPassword, listAppPasswords, revokeAppPassword } from "@restante/engine";
import type { Config } from "@restante/host";
import { askSecret } from "./ask.ts";
import { getUser, openContext, readPepper } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { print } from "./print.ts";

/** `restante app-password add|list|revoke ADDRESS [LABEL]` */
export async function appPassword(config: Config, args: readonly string[], flags: Flags): Promise<number> {
  const [action, address, label] = args;
  if (address === undefined || (label === undefined && action !== "list"))
    throw new Exit(EXIT.usage, "app-password wants: add ADDRESS LABEL, list ADDRESS or revoke ADDRESS LABEL");
  await using context = await openContext(config);
  const user = await getUser(context, address);
  const tools = { ...context, pepper: await readPepper(config) };
  const ask = (): Promise<string> => askSecret("Password: ", flags);
  switch (action) {
    case "add": {
      const made = await addAppPassword(tools, user, await ask(), label!);
      const told = [
        `App password for ${label}: ${made.appPassword}`,
        "It is shown this once. Type it, or copy it, into the program that is to use it.",
      ];
      print(flags, flags.json ? made : told);
      return EXIT.well;
    }
    case "list": {
      const all = await listAppPasswords(tools, user, await ask());
      const date = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
      print(flags, flags.json ? all : all.map(({ id, label, madeMs }) => `${id}  ${date(madeMs)}  ${label}`));
      return EXIT.well;
    }
    case "revoke":
      await revokeAppPassword(tools, user, await ask(), label!);
      print(flags, flags.json ? { revoked: label } : [`${label} can't sign in any more; running servers know it.`]);
      return EXIT.well;
    default:
      throw new Exit(EXIT.usage, `there is no app-password ${action}; try restante --help`);
  }
}
