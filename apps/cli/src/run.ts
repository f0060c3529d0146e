import { parseArgs } from "node:util";
import { EngineError, StoreError, type StoreErrorCode } from "@restante/engine";
import { ConfigError, readConfig } from "@restante/host";
import { account } from "./account.ts";
import { appPassword } from "./app-password.ts";
import { backUp, restore } from "./backup.ts";
import { check } from "./check.ts";
import { EXIT, Exit } from "./exit.ts";
import { exportMail } from "./export.ts";
import { importMail } from "./import.ts";
import { lmtp } from "./lmtp.ts";
import { serve } from "./serve.ts";
import { copyStore } from "./store-copy.ts";
import { token } from "./token.ts";

const HELP = `restante: a mail server whose stored bytes only the mailbox's owner can open

  restante serve [--only lmtp,imap,https]  run the server
  restante account add ADDRESS             make an account; prints the recovery code once
  restante account list
  restante account show ADDRESS
  restante account passwd ADDRESS          change the password
  restante account recover ADDRESS         set a new password with the recovery code
  restante account rotate ADDRESS          make new keys; ends all ways in but the password, prints a new recovery code
  restante account accept-history ADDRESS  go on from an older history, after a restore
  restante account delete ADDRESS          delete it with all its mail; asks for the address once more
    --yes                                  does not ask
  restante app-password add ADDRESS LABEL  a password for one program; prints it once
  restante app-password list ADDRESS
  restante app-password revoke ADDRESS LABEL
  restante token list ADDRESS              programs that were let in over HTTPS
  restante token revoke ADDRESS ID
  restante lmtp trust ADDRESS              deliver from this host by the key that is shown for it now
  restante check ADDRESS                   open and count everything in an account
  restante check ADDRESS --repair          make damaged pages anew; set messages apart whose bodies are lost
  restante check --repair                  make a damaged embedded store's database anew; no server may run on it
  restante check ADDRESS --retry           try again to open delivered mail that could not be opened
  restante check --sealed                  list and hash every stored object; needs no password
  restante backup DIR                      copy the store and what belongs to it, beside a running server
  restante restore DIR                     bring a backup back where no store is
  restante store copy FROM TO [ADDRESS]    move accounts to another store, each whole: FROM and TO are configuration
                                           files; to be run again once the servers use the new one
  restante import SOURCE ADDRESS           take mail in from maildir:PATH, mbox:PATH, mboxo:PATH or eml:PATH;
                                           may be run again: what is there is not doubled
    --mailbox NAME                         into this mailbox, or below it
  restante export ADDRESS TARGET           write all mail to maildir:PATH, mbox:PATH or eml:PATH
    --salvage                              straight from the bodies, when the account is damaged
  restante config check

Options
  --config FILE        else RESTANTE_CONFIG, else ./restante.toml, else defaults
  --password-stdin     read the password (for recover: the code, then the password) from standard input
  --json               answers as JSON
  --help

Passwords are asked for, read from standard input, or taken from RESTANTE_PASSWORD; never from the command line.
`;

/** Runs a command line; resolves with the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    const [code, text] = explain(error);
    process.stderr.write(`restante: ${text}\n`);
    return code;
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags(args);
  const [command, ...rest] = positionals;
  if (values.help || command === undefined) {
    process.stdout.write(HELP);
    return command === undefined && !values.help ? EXIT.usage : EXIT.well;
  }
  const config = readConfig(values.config, process.env);
  const flags = {
    json: values.json,
    passwordStdin: values["password-stdin"],
    only: values.only,
    mailbox: values.mailbox,
    salvage: values.salvage,
    sealed: values.sealed,
    retry: values.retry,
    repair: values.repair,
    yes: values.yes,
  };
  switch (command) {
    case "serve":
      return serve(config, flags);
    case "account":
      return account(config, rest, flags);
    case "app-password":
      return appPassword(config, rest, flags);
    case "token":
      return token(config, rest, flags);
    case "lmtp":
      return lmtp(config, rest, flags);
    case "check":
      return check(config, rest, flags);
    case "backup":
      return backUp(config, rest, flags);
    case "restore":
      return restore(config, rest, flags);
    case "store":
      if (rest[0] !== "copy") break;
      return copyStore(rest.slice(1), flags);
    case "import":
      return importMail(config, rest, flags);
    case "export":
      return exportMail(config, rest, flags);
    case "config":
      if (rest[0] !== "check") break;
      process.stdout.write(`${config.file ?? "defaults"}: well\n`);
      return EXIT.well;
  }
  throw new Exit(EXIT.usage, `unknown command; try restante --help`);
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: "string" },
        only: { type: "string" },
        mailbox: { type: "string" },
        salvage: { type: "boolean", default: false },
        sealed: { type: "boolean", default: false },
        retry: { type: "boolean", default: false },
        repair: { type: "boolean", default: false },
        yes: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        "password-stdin": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new Exit(EXIT.usage, (error as Error).message);
  }
}

const STORE_EXITS: Partial<Record<StoreErrorCode, number>> = { invalid: EXIT.usage, damaged: EXIT.failed };

function explain(error: unknown): readonly [number, string] {
  if (error instanceof Exit) return [error.code, error.message];
  if (error instanceof ConfigError) return [EXIT.usage, error.message];
  if (error instanceof StoreError) return [STORE_EXITS[error.code] ?? EXIT.unavailable, error.message];
  // An operator may read the store's own words; what it can't do at all no later try will mend.
  if (error instanceof EngineError && error.cause instanceof StoreError)
    return [
      error.cause.code === "invalid" ? EXIT.usage : error.code === "unavailable" ? EXIT.unavailable : EXIT.failed,
      error.cause.message,
    ];
  if (error instanceof EngineError)
    return [error.code === "unavailable" ? EXIT.unavailable : EXIT.failed, error.message];
  return [EXIT.failed, error instanceof Error ? (error.stack ?? error.message) : String(error)];
}
