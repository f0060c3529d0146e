import { addAppPassword, listAppPasswords, revokeAppPassword } from "@restante/engine";
import { EXIT } from "./exit.ts";
import { type OwnerCommand, withOwner } from "./owner.ts";
import { dateOf, print } from "./print.ts";

/** `restante app-password add ADDRESS LABEL` */
export const add: OwnerCommand<readonly [string, string]> = withOwner(
  async ({ tools, user, password }, [label], flags) => {
    const made = await addAppPassword(tools, user, password, label);
    const told = [
      `App password for ${label}: ${made.appPassword}`,
      "It is shown this once. Type it, or copy it, into the program that is to use it.",
    ];
    print(flags, flags.json ? made : told);
    return EXIT.well;
  },
);

/** `restante app-password list ADDRESS` */
export const list: OwnerCommand<readonly [string]> = withOwner(async ({ tools, user, password }, _, flags) => {
  const all = await listAppPasswords(tools, user, password);
  print(flags, flags.json ? all : all.map(({ id, label, madeMs }) => `${id}  ${dateOf(madeMs)}  ${label}`));
  return EXIT.well;
});

/** `restante app-password revoke ADDRESS LABEL` */
export const revoke: OwnerCommand<readonly [string, string]> = withOwner(
  async ({ tools, user, password }, [label], flags) => {
    await revokeAppPassword(tools, user, password, label);
    print(flags, flags.json ? { revoked: label } : [`${label} can't sign in any more; running servers know it.`]);
    return EXIT.well;
  },
);
