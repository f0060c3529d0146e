import { listTokens, revokeToken } from "@restante/engine";
import { EXIT } from "./exit.ts";
import { type OwnerCommand, withOwner } from "./owner.ts";
import { dateOf, print } from "./print.ts";

/** `restante token list ADDRESS` */
export const list: OwnerCommand<readonly [string]> = withOwner(async ({ tools, user, password }, _, flags) => {
  const all = await listTokens(tools, user, password);
  const lines = all.map(
    ({ id, label, madeMs, expiresMs, scope }) => `${id}  ${dateOf(madeMs)}  ${dateOf(expiresMs)}  ${scope}  ${label}`,
  );
  print(flags, flags.json ? all : lines);
  return EXIT.well;
});

/** `restante token revoke ADDRESS ID` */
export const revoke: OwnerCommand<readonly [string, string]> = withOwner(
  async ({ tools, user, password }, [id], flags) => {
    await revokeToken(tools, user, password, id);
    print(flags, flags.json ? { revoked: id } : [`${id} can't sign in any more; running servers know it.`]);
    return EXIT.well;
  },
);
