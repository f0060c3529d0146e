import { commands } from "./commands/index.ts";

/** Extensions that live in the grammar rather than in a command of their own, and the RFC of each. */
export const GRAMMAR_CAPABILITIES: Readonly<Record<string, string>> = {
  "LITERAL+": "RFC 7888",
  "SASL-IR": "RFC 4959",
  UIDPLUS: "RFC 4315",
  CHILDREN: "RFC 3348",
  "SPECIAL-USE": "RFC 6154",
  CONDSTORE: "RFC 7162",
  QRESYNC: "RFC 7162",
  ESEARCH: "RFC 4731",
  SEARCHRES: "RFC 5182",
  WITHIN: "RFC 5032",
  PARTIAL: "RFC 9394",
  OBJECTID: "RFC 8474",
  SAVEDATE: "RFC 8514",
  PREVIEW: "RFC 8970",
  INPROGRESS: "RFC 9585",
  UIDONLY: "RFC 9586",
  "UTF8=ACCEPT": "RFC 6855",
};

export interface Offer {
  readonly loginAllowed: boolean;
  readonly startTlsOffered: boolean;
  /** True where JMAP shows the same mail to the users of IMAP. */
  readonly hasJmap: boolean;
  /** Capabilities that are not announced though the server has them, in capitals. */
  readonly hidden: ReadonlySet<string>;
  /** LITERAL- in place of LITERAL+: RFC 7888 §5. */
  readonly literalMinus: boolean;
  /** Messages that one command may work on; undefined for any number. */
  readonly messageLimit?: number | undefined;
}

/** RFC 9051 §6.1.1. The same list before and after login, but for JMAPACCESS: some clients never ask again. */
export function capabilitiesOf(offer: Offer): string[] {
  const { loginAllowed, startTlsOffered, hasJmap, hidden, literalMinus, messageLimit } = offer;
  return [
    "IMAP4rev1",
    "IMAP4rev2",
    ...Object.keys(GRAMMAR_CAPABILITIES).map((name) => (literalMinus && name === "LITERAL+" ? "LITERAL-" : name)),
    ...commands.flatMap((command) => command.capabilities ?? []),
    ...(messageLimit === undefined ? [] : [`MESSAGELIMIT=${messageLimit}`]),
    ...(startTlsOffered ? ["STARTTLS"] : []),
    ...(loginAllowed ? ["AUTH=PLAIN", "AUTH=LOGIN"] : ["LOGINDISABLED"]),
  ]
    .filter((name) => hasJmap || name !== "JMAPACCESS")
    .filter((name) => !hidden.has(name.toUpperCase()));
}
