/**
 * Passwords that guessers try first. Made for this project, from what people do rather than from a leaked list: words
 * that stand in every such list, walks over a keyboard, counting, and any of these again and again, in other case, with
 * digits for letters or with digits and marks around them. A password that is nothing but such pieces is refused.
 */
const PIECES: readonly string[] = [
  ..."password passwort passwd motdepasse contrasena parola senha wachtwoord haslo pass".split(" "),
  ..."welcome willkommen bienvenue hello hallo hola letmein changeme secret geheim default temp test demo guest".split(
    " ",
  ),
  ..."admin administrator root user login master system server computer internet email mail google facebook".split(" "),
  ..."iloveyou loveyou ilove love lovely baby angel princess prinzessin sunshine schatz sweet honey flower kitty".split(
    " ",
  ),
  ..."football fussball soccer baseball basketball hockey superman batman spiderman starwars pokemon dragon".split(" "),
  ..."monkey tiger lion eagle shadow ninja warrior hunter killer ranger trustno qwerty qwertz azerty".split(" "),
  ..."monday summer winter spring autumn sommer fruehling herbst january december michael jennifer jordan".split(" "),
  ..."charlie daniel thomas andrew jessica ashley nicole matthew joshua george my the you is me and for".split(" "),
  "correcthorsebatterystaple",
];
const ROWS: readonly string[] = [
  "01234567890",
  "abcdefghijklmnopqrstuvwxyz",
  "qwertyuiop",
  "qwertzuiop",
  "azertyuiop",
  "asdfghjkl",
  "qsdfghjklm",
  "zxcvbnm",
  "yxcvbnm",
  "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
  "q1w2e3r4t5y6u7i8o9p0",
  "1q2w3e4r5t6y7u8i9o0p",
];
/** Neighbours on a row that make a walk. */
const WALK_CHARS_MIN = 3;
/** Digits and marks that stand for a letter. */
const LETTERS: Readonly<Record<string, string>> = {
  "0": "o",
  "1": "i",
  "3": "e",
  "4": "a",
  "5": "s",
  "7": "t",
  "8": "b",
  "@": "a",
  $: "s",
  "!": "i",
};

/** Digits and marks that are nobody's walk: so many are worth little. */
const LOOSE_CHARS_MAX = 8;

/** True for a password made of common pieces and walks, and of no more than a few other digits and marks. */
export function isCommonPassword(password: string): boolean {
  const lower = password.normalize("NFKC").toLowerCase();
  const joined = lower.replace(/[^\p{L}\p{N}]/gu, "");
  return [lower, joined].some((text) => looseChars(text) <= LOOSE_CHARS_MAX);
}

/** The fewest loose characters with which the text can be made of pieces and walks; infinite if it can't. */
function looseChars(text: string): number {
  const least = new Array<number>(text.length + 1).fill(Number.POSITIVE_INFINITY);
  least[0] = 0;
  for (let at = 0; at < text.length; at++) {
    const reach = (length: number, cost: number): void => {
      least[at + length] = Math.min(least[at + length]!, least[at]! + cost);
    };
    if (at > 0 && text[at] === text[at - 1]) reach(1, 0);
    else if (/\P{L}/u.test(text[at]!)) reach(1, 1);
    for (const piece of PIECES) if (isSpelledAt(text, at, piece)) reach(piece.length, 0);
    for (let length = WALK_CHARS_MIN; at + length <= text.length && isWalk(text.slice(at, at + length)); length++)
      reach(length, 0);
  }
  return least[text.length]!;
}

function isSpelledAt(text: string, at: number, piece: string): boolean {
  if (at + piece.length > text.length) return false;
  for (let i = 0; i < piece.length; i++) {
    const char = text[at + i]!;
    if (char !== piece[i] && LETTERS[char] !== piece[i]) return false;
  }
  return true;
}

function isWalk(text: string): boolean {
  const back = [...text].reverse().join("");
  return ROWS.some((row) => row.includes(text) || row.includes(back));
}
