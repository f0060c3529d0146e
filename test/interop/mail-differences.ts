import { decodeWords } from "@restante/mime";
import type { KnownDifference } from "./answers.ts";

const PLACEHOLDERS = ["missing_domain", "missing_mailbox", "syntax_error"];
const UNTYPED = ["mime-bad-content-type.raw", "mime-blank-media-name.raw"];

/** Mails that are told of otherwise for what they alone have, by the ends of their names, each with the items that it shows in. */
const SINGLE: readonly (readonly [reason: string, items: RegExp, names: readonly string[]])[] = [
  [
    "of two parameters, or fields, of one name the first counts: RFC 2045 §5, RFC 5322 §3.6",
    /BODY/,
    ["inlinemultipart.raw", "malformed-multiple-address-header-values.raw", "mime-duplicate-param.raw"],
  ],
  ["what is no media type is text/plain: RFC 2045 §5.2", /BODY/, UNTYPED],
  [
    "a quoted string that nothing ends reaches to the value's end: RFC 2045 §5.1",
    /BODY/,
    ["missing-closing-param-quote.raw"],
  ],
  ["a multipart without a boundary has octets, and no parts: RFC 2046 §5.1.1", /BODY/, ["external_relay.eml"]],
  ["how deep a mail is looked into is each server's to say", /BODY/, ["deeply_nested.txt"]],
  ["what is no address is told as it stands: RFC 5322 §3.4", /ENVELOPE/, ["simple_35.txt"]],
];

/** Strings without what differs by rights: white space, case, and encoded-words where Dovecot tells raw 8-bit. */
const withoutSpace = (text: string): string => text.replace(/\\[trn]|\s/g, "").toLowerCase();
const decoded = (text: string): string =>
  withoutSpace(
    text.replace(/"(?:[^"\\]|\\.)*"/g, (string) => JSON.stringify(decodeWords(JSON.parse(string) as string))),
  );
const withoutSizes = (text: string): string => decoded(text).replace(/(["()]|nil)\d+(?=["()]|nil)/g, "$1#");
const withoutLastEnd = (text: string): string => text.replaceAll(/(\\r\\n)+" /g, '" ');
const isNil = (ours: string, theirs: string): boolean =>
  ours.replaceAll(" NIL", ' ""') === theirs.replaceAll(" NIL", ' ""');
const isStructure = (command: string): boolean => / (?:ENVELOPE|BODY|BODYSTRUCTURE)$/.test(command);

/** Of the packages' mails, whose names are handed in: where our answer is not Dovecot's, and why it is right. */
export function mailDifferences(names: readonly string[]): readonly KnownDifference[] {
  const nameOf = (response: string): string => names[Number(/^\* (\d+) FETCH/.exec(response)?.[1]) - 1] ?? "";
  const ends = (of: readonly string[]) => (name: string) => of.some((end) => name.endsWith(`/${end}`));
  /** The mails that one search has found and the other has not. */
  const onlyIn = (ours: string, theirs: string): string[] => {
    const [one, other] = [ours, theirs].map((found) => new Set(found.match(/\d+/g)));
    const alone = [...one!].filter((number) => !other!.has(number));
    alone.push(...[...other!].filter((number) => !one!.has(number)));
    return alone.map((number) => names[Number(number) - 1] ?? "");
  };
  return [
    ...SINGLE.map(([reason, items, of]) => ({
      reason,
      is: (command: string, ours: string) =>
        command.startsWith("FETCH") && items.test(command) && ends(of)(nameOf(ours)),
    })),
    {
      reason: "media types, encodings and names of parameters have no case: RFC 2045 §5.1, §6.1",
      is: (command, ours, theirs) => isStructure(command) && ours.toLowerCase() === theirs.toLowerCase(),
    },
    {
      reason: "unfolding takes the line end away, and no other white space: RFC 5322 §2.2.3",
      is: (command, ours, theirs) => isStructure(command) && withoutSpace(ours) === withoutSpace(theirs),
    },
    {
      reason: "quoted strings are ASCII where UTF-8 was not asked for: RFC 9051 §9, RFC 6855 §3",
      is: (command, ours, theirs) => isStructure(command) && decoded(ours) === decoded(theirs),
    },
    {
      reason: "an address that can't be said in ASCII is an invalid one: RFC 6855 §7, RFC 6858 §2",
      is: (command, ours) => isStructure(command) && ours.includes('"internationalized-address.invalid"'),
    },
    {
      reason: "the line end before a delimiter is the delimiter's: RFC 2046 §5.1.1",
      is: (command, ours, theirs) =>
        isStructure(command)
          ? withoutSizes(ours) === withoutSizes(theirs)
          : withoutLastEnd(ours) === withoutLastEnd(theirs),
    },
    {
      reason: "a section that is not there is NIL, and not an empty string: RFC 9051 §7.5.2",
      is: (command, ours, theirs) => command.includes("[") && isNil(ours, theirs),
    },
    {
      reason: "a part that is no multipart has no parts of its own: RFC 9051 §6.4.5.1",
      is: (command, ours) => /\[[123]\.[12](?:\.MIME)?\]$/.test(command) && / BODY\[[\d.]+(?:MIME)?\] NIL /.test(ours),
    },
    {
      reason: "raw 8-bit that is no UTF-8 is read as windows-1252, where Dovecot finds nothing",
      is: (command, ours, theirs) =>
        /(?:SUBJECT|FROM) "/.test(command) && onlyIn(ours, theirs).every(ends(["headers-koi8r.bin"])),
    },
    {
      reason: "Dovecot looks for addresses in a form that has MISSING_DOMAIN, or SYNTAX_ERROR, where there is none",
      is: (command, ours, theirs) => {
        const word = /(?:FROM|TO|CC) "(.*)"$/.exec(command)?.[1]?.toLowerCase();
        if (word === undefined) return false;
        return PLACEHOLDERS.some((held) => held.includes(word)) || onlyIn(ours, theirs).every(ends(["simple_35.txt"]));
      },
    },
    {
      reason: "what is no media type is text/plain, and so a text: RFC 2045 §5.2",
      is: (command, ours, theirs) => /(?:TEXT|BODY) "/.test(command) && onlyIn(ours, theirs).every(ends(UNTYPED)),
    },
  ];
}
