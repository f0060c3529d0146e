import type { SpecialUse } from "@restante/engine";

/** A mailbox as another server lists it: what of imapflow's `ListResponse` is used. */
export interface Listed {
  readonly path: string;
  readonly delimiter: string;
  readonly flags: ReadonlySet<string>;
  readonly specialUse?: string | undefined;
  /** `extension` where the server says it, and else guessed by the name. */
  readonly specialUseSource?: string | undefined;
  /** Undefined, too, of what is not. */
  readonly subscribed?: boolean | undefined;
}

/** A mailbox that is imported. */
export interface RemoteFolder {
  /** Its name there. */
  readonly name: string;
  /** Its path here. */
  readonly path: string;
  readonly specialUse: SpecialUse | undefined;
  readonly subscribed: boolean;
  /** Its messages say by labels where they are: Gmail's "All Mail". */
  readonly byLabels: boolean;
}

export interface ListingFacts {
  /** The prefix of the owner's own mailboxes: RFC 2342 §5; `INBOX.` with some servers. */
  readonly prefix: string;
  /** Prefixes of other users' mailboxes. */
  readonly foreignPrefixes: readonly string[];
  /** X-GM-EXT-1: labels, each of which is shown as a mailbox. */
  readonly isGmail: boolean;
}

export interface ChosenFolders {
  readonly folders: readonly RemoteFolder[];
  readonly notices: readonly string[];
}

const USES: ReadonlySet<string> = new Set(["\\Drafts", "\\Sent", "\\Trash", "\\Junk", "\\Archive"]);
/** Each shows all mail, or a choice of it, that lies elsewhere: RFC 6154 §2. */
const VIEWS: ReadonlySet<string> = new Set(["\\All", "\\Flagged"]);

/** Which of the mailboxes of another server hold mail, each once, and where they go. */
export function chooseFolders(entries: readonly Listed[], facts: ListingFacts): ChosenFolders {
  const selectable = withTrueUses(entries).filter(
    ({ flags }) => !has(flags, "\\Noselect") && !has(flags, "\\NonExistent"),
  );
  const all = facts.isGmail ? selectable.find(({ specialUse }) => specialUse === "\\All") : undefined;
  const folders: RemoteFolder[] = [];
  const notices: string[] = [];
  for (const entry of selectable) {
    const { path: name, specialUse } = entry;
    if (all && entry !== all && specialUse !== "\\Junk" && specialUse !== "\\Trash") continue;
    if (facts.foreignPrefixes.some((prefix) => prefix !== "" && name.startsWith(prefix)))
      notices.push(`${name} is left out: it belongs to others`);
    else if (VIEWS.has(specialUse ?? "") && entry !== all)
      notices.push(`${name} is left out: it shows mail of other mailboxes`);
    else {
      const path = pathOf(entry, facts.prefix);
      if (path.includes("_") && !name.includes("_")) notices.push(`${name} is ${path} here: a name has no slash`);
      folders.push({
        name,
        path,
        specialUse: USES.has(specialUse ?? "") ? (specialUse as SpecialUse) : undefined,
        subscribed: entry.subscribed === true,
        byLabels: entry === all,
      });
    }
  }
  return { folders, notices };
}

/** A server that tells uses by attributes is believed, and names are not. */
function withTrueUses(entries: readonly Listed[]): readonly Listed[] {
  const isTold = ({ specialUseSource }: Listed): boolean => specialUseSource === "extension";
  if (!entries.some(isTold)) return entries;
  return entries.map((entry) => (isTold(entry) ? entry : { ...entry, specialUse: undefined }));
}

function has(flags: ReadonlySet<string>, flag: string): boolean {
  return [...flags].some((item) => item.toLowerCase() === flag.toLowerCase());
}

function pathOf({ path, delimiter }: Listed, prefix: string): string {
  const own = path.startsWith(prefix) ? path.slice(prefix.length) : path;
  const levels = delimiter === "" ? [own] : own.split(delimiter);
  return levels
    .map((level) => level.replaceAll("/", "_"))
    .filter((level) => level !== "")
    .join("/");
}
