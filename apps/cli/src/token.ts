import { listTokens, revokeToken } from "@restante/engine";
import type { Config } from "@restante/host";
import { askSecret } from "./ask.ts";
import { getUser, openContext, readPepper } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { print } from "./print.ts";

/** `restante token list|revoke ADDRESS [ID]` */
export async function token(config: Config, args: readonly string[], flags: Flags): Promise<number> {
  const [action, address, id] = args;
  if (address === undefined || (id === undefined && action !== "list"))
    throw new Exit(EXIT.usage, "token wants: list ADDRESS or revoke ADDRESS ID");
  await using context = await openContext(config);
  const user = await getUser(context, address);
  const tools = { ...context, pepper: await readPepper(config) };
  const ask = (): Promise<string> => askSecret("Password: ", flags);
  switch (action) {
    case "list": {
      const all = await listTokens(tools, user, await ask());
      const date = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
      const lines = all.map(
        ({ id, label, madeMs, expiresMs, scope }) => `${id}  ${date(madeMs)}  ${date(expiresMs)}  ${scope}  ${label}`,
      );
      print(flags, flags.json ? all : lines);
      return EXIT.well;
    }
    case "revoke":
      await revokeToken(tools, user, await ask(), id!);
      print(flags, flags.json ? { revoked: id } : [`${id} can't sign in any more; running servers know it.`]);
      return EXIT.well;
    default:
      throw new Exit(EXIT.usage, `there is no token ${action}; try restante --help`);
  }
}
