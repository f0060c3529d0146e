import { type Command, type CommandTable, defineCommand, type Flag } from "./command-line/command.ts";
import { printCompletion } from "./command-line/completion.ts";
import { printManual } from "./command-line/manual.ts";

const json = { json: { about: "answer as JSON" } } as const satisfies Record<string, Flag>;
const asks = {
  passwordStdin: { about: "read passwords from standard input, one a line, in the order in which they are asked for" },
  ...json,
} as const satisfies Record<string, Flag>;

/** Commands of two words, by their first. */
const groups: Readonly<Record<string, string>> = {
  account: "accounts: make, list, change, delete",
  "app-password": "passwords for one program each",
  token: "programs that were let in over HTTPS",
  device: "phones that synchronize by ActiveSync",
  mandate: "what the server may do while you are not signed in",
  lmtp: "delivery from this host",
  store: "where accounts lie",
  config: "the configuration",
};

const commands: readonly Command[] = [
  defineCommand({
    name: "serve",
    args: [],
    flags: {
      only: { value: "SERVICES", about: "these alone, with commas between: lmtp, imap, https, send, submission" },
    },
    about: "run the server",
    details:
      "Runs until SIGTERM or SIGINT ends it. SIGHUP: certificates are read again. Standard output tells where it listens, then that it is ready; the log goes to standard error, one JSON object a line.",
    run: async ({ config, flags }) => (await import("./serve.ts")).serve(config, flags),
  }),
  defineCommand({
    name: "setup",
    args: [],
    flags: {
      domain: { value: "DOMAIN", about: "what stands after the @" },
      host: { value: "HOST", about: "this machine's name in the DNS; mail.DOMAIN where it is not said" },
      address: { value: "ADDRESS", about: "the first account; postmaster@DOMAIN where it is not said" },
      sender: { value: "HOST", about: "the host that sends the domain's mail; this one where it is not said" },
      store: { value: "STORE", about: "embedded, or s3:ENDPOINT/BUCKET" },
      data: { value: "DIR", about: "where mail and keys will lie; ./data where it is not said" },
      passwordStdin: asks.passwordStdin,
    },
    about: "write restante.toml, make keys and the first account; print DNS records, Postfix' lines and a systemd unit",
    details: "Asks for what no flag says. What is there stays: run again, it changes nothing.",
    run: async ({ configFile, flags }) => (await import("./setup.ts")).setup(configFile, flags),
  }),
  defineCommand({
    name: "account add",
    args: ["ADDRESS"],
    flags: asks,
    about: "make an account; prints the recovery code once, and what to type into a mail program",
    details: "With password and recovery code both lost, the mail is lost: nobody else can open it.",
    run: async ({ config, args, flags }) => (await import("./account.ts")).addAccount(config, args, flags),
  }),
  defineCommand({
    name: "account list",
    args: [],
    flags: json,
    about: "the addresses of all accounts",
    run: async ({ config, flags }) => (await import("./account.ts")).listAccounts(config, flags),
  }),
  defineCommand({
    name: "account show",
    args: ["ADDRESS"],
    flags: json,
    about: "an account's id and public key",
    run: async ({ config, args, flags }) => (await import("./account.ts")).showAccount(config, args, flags),
  }),
  defineCommand({
    name: "account passwd",
    args: ["ADDRESS"],
    flags: asks,
    about: "change the password",
    run: async ({ config, args, flags }) => (await import("./account.ts")).changeAccountPassword(config, args, flags),
  }),
  defineCommand({
    name: "account recover",
    args: ["ADDRESS"],
    flags: asks,
    about: "set a new password with the recovery code",
    details: "Standard input holds the code, then the password.",
    run: async ({ config, args, flags }) => (await import("./account.ts")).recoverAccess(config, args, flags),
  }),
  defineCommand({
    name: "account rotate",
    args: ["ADDRESS"],
    flags: asks,
    about: "make new keys; ends all ways in but the password, prints a new recovery code",
    run: async ({ config, args, flags }) => (await import("./account.ts")).rotateKeys(config, args, flags),
  }),
  defineCommand({
    name: "account accept-history",
    args: ["ADDRESS"],
    flags: asks,
    about: "go on from an older history, after a restore",
    run: async ({ config, args, flags }) => (await import("./account.ts")).acceptOlderHistory(config, args, flags),
  }),
  defineCommand({
    name: "account delete",
    args: ["ADDRESS"],
    flags: { yes: { about: "don't ask" }, ...json },
    about: "delete it with all its mail; asks for the address once more",
    run: async ({ config, args, flags }) => (await import("./account.ts")).removeAccount(config, args, flags),
  }),
  defineCommand({
    name: "app-password add",
    args: ["ADDRESS", "LABEL"],
    flags: asks,
    about: "a password for one program; prints it once",
    run: async ({ config, args, flags }) => (await import("./app-password.ts")).add(config, args, flags),
  }),
  defineCommand({
    name: "app-password list",
    args: ["ADDRESS"],
    flags: asks,
    about: "ids, dates and labels",
    run: async ({ config, args, flags }) => (await import("./app-password.ts")).list(config, args, flags),
  }),
  defineCommand({
    name: "app-password revoke",
    args: ["ADDRESS", "LABEL"],
    flags: asks,
    about: "end one, by its label or id",
    run: async ({ config, args, flags }) => (await import("./app-password.ts")).revoke(config, args, flags),
  }),
  defineCommand({
    name: "token list",
    args: ["ADDRESS"],
    flags: asks,
    about: "ids, dates, scopes and labels",
    run: async ({ config, args, flags }) => (await import("./token.ts")).list(config, args, flags),
  }),
  defineCommand({
    name: "token revoke",
    args: ["ADDRESS", "ID"],
    flags: asks,
    about: "end one",
    run: async ({ config, args, flags }) => (await import("./token.ts")).revoke(config, args, flags),
  }),
  defineCommand({
    name: "device list",
    args: ["ADDRESS"],
    flags: asks,
    about: "ids, since when, and what they say of themselves",
    run: async ({ config, args, flags }) => (await import("./device.ts")).list(config, args, flags),
  }),
  defineCommand({
    name: "device wipe",
    args: ["ADDRESS", "DEVICE"],
    flags: { eraseDevice: { about: "erase the whole phone, not the account's data alone" }, ...asks },
    about: "let one erase what it has of the account",
    details:
      "Phones of version 16.1 erase the account's data alone; older ones know no such thing and are let in no more. With --erase-device any phone erases all that it holds.",
    run: async ({ config, args, flags }) => (await import("./device.ts")).wipe(config, args, flags),
  }),
  defineCommand({
    name: "device forget",
    args: ["ADDRESS", "DEVICE"],
    flags: asks,
    about: "remove one, and all that is kept of what it holds",
    run: async ({ config, args, flags }) => (await import("./device.ts")).forget(config, args, flags),
  }),
  defineCommand({
    name: "mandate list",
    args: ["ADDRESS"],
    flags: asks,
    about: "the vacation's answer, devices that are woken, mail that waits: what the server knows of them",
    run: async ({ config, args, flags }) => (await import("./mandate.ts")).list(config, args, flags),
  }),
  defineCommand({
    name: "mandate end",
    args: ["ADDRESS", "ID"],
    flags: asks,
    about: "end one; what the server knew by it is gone from the store",
    run: async ({ config, args, flags }) => (await import("./mandate.ts")).end(config, args, flags),
  }),
  defineCommand({
    name: "lmtp trust",
    args: ["ADDRESS"],
    flags: json,
    about: "deliver from this host by the key that is shown for it now",
    run: async ({ config, args, flags }) => (await import("./lmtp.ts")).trustAddress(config, args, flags),
  }),
  defineCommand({
    name: "check",
    args: ["[ADDRESS]"],
    flags: {
      sealed: {
        about: "list and hash every stored object; needs no password",
        conflicts: ["repair", "retry", "passwordStdin"],
      },
      repair: {
        about:
          "make damaged pages anew, set messages apart whose bodies are lost; without ADDRESS: make a damaged embedded store's database anew, with no server on it",
        conflicts: ["retry"],
      },
      retry: { about: "try again to open delivered mail that could not be opened" },
      ...asks,
    },
    about: "open and count everything in an account",
    run: async ({ config, args, flags }) => (await import("./check.ts")).check(config, args, flags),
  }),
  defineCommand({
    name: "import",
    args: ["SOURCE", "ADDRESS"],
    flags: {
      mailbox: { value: "NAME", about: "into this mailbox, or below it" },
      follow: { about: "imaps: alone: go on with what comes, until SIGINT or SIGTERM" },
      sourcePasswordFile: { value: "FILE", about: "imaps: alone: its password is the first line" },
      ...asks,
    },
    about:
      "take mail in from maildir:PATH, mbox:PATH (or its kinds mboxrd, mboxo, mboxcl, mboxcl2), eml:PATH or imaps://USER@HOST",
    details:
      "It may be run again: what is there is not doubled. The password for HOST is asked for, after the account's, or RESTANTE_SOURCE_PASSWORD.",
    run: async ({ config, args, flags }) => (await import("./import.ts")).importMail(config, args, flags),
  }),
  defineCommand({
    name: "export",
    args: ["ADDRESS", "TARGET"],
    flags: { salvage: { about: "straight from the bodies, when the account is damaged" }, ...asks },
    about: "write all mail to maildir:PATH, mbox:PATH (or its kinds) or eml:PATH",
    run: async ({ config, args, flags }) => (await import("./export.ts")).exportMail(config, args, flags),
  }),
  defineCommand({
    name: "backup",
    args: ["DIR"],
    flags: json,
    about: "copy the store and what belongs to it, beside a running server",
    run: async ({ config, args, flags }) => (await import("./backup.ts")).backUp(config, args, flags),
  }),
  defineCommand({
    name: "restore",
    args: ["DIR"],
    flags: json,
    about: "bring a backup back where no store is",
    run: async ({ config, args, flags }) => (await import("./backup.ts")).restore(config, args, flags),
  }),
  defineCommand({
    name: "store copy",
    args: ["FROM", "TO", "[ADDRESS]"],
    flags: json,
    configless: true,
    about: "move accounts to another store, each whole",
    details: "FROM and TO are configuration files. To be run again once the servers use the new one.",
    run: async ({ args, flags }) => (await import("./store-copy.ts")).copyStore(args, flags),
  }),
  defineCommand({
    name: "trace",
    args: ["ADDRESS"],
    flags: { minutes: { value: "N", about: "end after so many minutes, at most 60; 5 where it is not said" } },
    about: "show what the programs of one account and the server say to each other",
    details:
      "Of quoted texts, literals and what is searched for the size alone is told; sign-ins are not told. It ends by itself.",
    run: async ({ config, args, flags }) => (await import("./trace.ts")).trace(config, args, flags),
  }),
  defineCommand({
    name: "config check",
    args: [],
    flags: json,
    about: "look at all that serve would need, and change nothing",
    run: async ({ config, flags }) => (await import("./config-check.ts")).checkConfig(config, flags),
  }),
  defineCommand({
    name: "completion",
    args: ["SHELL"],
    flags: {},
    configless: true,
    about: "print what completes restante's commands in bash, zsh or fish",
    run: ({ args: [shell] }) => printCompletion(shell, table),
  }),
  defineCommand({
    name: "manual",
    args: [],
    flags: {},
    configless: true,
    about: "print the manual page restante(1), as roff",
    run: () => printManual(table),
  }),
];

/** Every command of `restante`. What one needs is loaded when it is run. */
export const table: CommandTable = { groups, commands };
