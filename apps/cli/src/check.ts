import { Accounts, checkAccount } from "@restante/engine";
import type { Config } from "@restante/host";
import { askSecret } from "./ask.ts";
import { openContext, readPepper, readSigner } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";

/** `restante check ADDRESS`: the owner's check of everything in the account. */
export async function check(config: Config, args: readonly string[], flags: Flags): Promise<number> {
  const [address] = args;
  if (address === undefined) throw new Exit(EXIT.usage, "check wants an address");
  await using context = await openContext(config);
  const signer = await readSigner(config);
  const accounts = new Accounts({ ...context, trustedHosts: [signer.publicKey], pepper: await readPepper(config) });
  try {
    const session = await accounts.login(address, await askSecret("Password: ", flags), "");
    const report = await checkAccount(session);
    session.close();
    if (flags.json) process.stdout.write(`${JSON.stringify(report)}\n`);
    else {
      for (const { mailbox, uid, problem } of report.findings)
        process.stdout.write(`${mailbox}${uid === undefined ? "" : ` uid ${uid}`}: ${problem}\n`);
      process.stdout.write(
        `${report.messages} messages in ${report.mailboxes} mailboxes, ${report.findings.length} damaged\n`,
      );
    }
    return report.findings.length > 0 ? EXIT.failed : EXIT.well;
  } finally {
    await accounts.dispose();
  }
}
