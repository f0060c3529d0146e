import { type AccountSession, Accounts } from "@restante/engine";
import { EXIT } from "./exit.ts";
import { openOutbound, withOutbound } from "./outbound.ts";
import { type OwnerCommand, withOwner } from "./owner.ts";
import { dateOf, print } from "./print.ts";

/** A command of an owner who is signed in, with all that a server lets their account do. */
function withSession<R extends readonly string[]>(
  work: (session: AccountSession, rest: R, flags: { readonly json: boolean }) => Promise<void>,
): OwnerCommand<readonly [string, ...R]> {
  return withOwner<R>(async ({ tools, user, password }, rest, flags) => {
    const context = withOutbound(tools, await openOutbound(tools, false));
    const accounts = new Accounts({ ...context, pepper: tools.pepper });
    try {
      const session = await accounts.login(user.address, password, "");
      await work(session, rest, flags);
      session.close();
    } finally {
      await accounts.dispose();
    }
    return EXIT.well;
  });
}

/** `restante mandate list ADDRESS` */
export const list: OwnerCommand<readonly [string]> = withSession(async (session, _, flags) => {
  const all = await session.mandates();
  const date = (ms: number | undefined): string => (ms === undefined ? "-".padEnd(DATE_CHARS) : dateOf(ms));
  const lines = all.map(
    ({ id, kind, about, madeMs, untilMs }) => `${id}  ${kind}  ${date(madeMs)}  ${date(untilMs)}  ${about}`,
  );
  print(flags, flags.json ? all : lines);
});

const DATE_CHARS = 10;

/** `restante mandate end ADDRESS ID` */
export const end: OwnerCommand<readonly [string, string]> = withSession(async (session, [id], flags) => {
  await session.endMandate(id);
  print(flags, flags.json ? { ended: id } : [`${id} has ended: the server knows nothing more of it.`]);
});
