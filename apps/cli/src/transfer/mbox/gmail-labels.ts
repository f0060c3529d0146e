import { decodeWords } from "@restante/mime";
import type { Destination } from "../mail-place.ts";

/** Meanings of the labels that Gmail has by itself. */
type Meaning =
  | "inbox"
  | "sent"
  | "drafts"
  | "spam"
  | "trash"
  | "archived"
  | "starred"
  | "important"
  | "unread"
  | "opened";

/** Gmail's own labels as a Takeout names them, in the languages of its users, in lower case. */
const NAMES: Readonly<Record<Meaning, string>> = {
  inbox:
    "inbox|posteingang|boîte de réception|recibidos|bandeja de entrada|posta in arrivo|caixa de entrada|postvak in|odebrane|inkorgen|indbakke|innboks|входящие|受信トレイ|收件箱",
  sent: "sent|sent mail|gesendet|messages envoyés|envoyé|envoyés|enviado|enviados|enviada|enviadas|inviata|inviati|posta inviata|verzonden|wysłane|skickat|skickade|sendt|sendte|отправленные|送信済み|已发送",
  drafts:
    "drafts|draft|entwurf|entwürfe|brouillon|brouillons|borrador|borradores|bozza|bozze|rascunho|rascunhos|concepten|wersja robocza|wersje robocze|utkast|kladde|kladder|черновик|черновики|下書き|草稿",
  spam: "spam|correo no deseado|skräppost|спам|迷惑メール|垃圾邮件",
  trash:
    "trash|bin|papierkorb|corbeille|papelera|cestino|lixeira|lixo|prullenbak|kosz|papperskorgen|papirkurv|papirkurven|корзина|ゴミ箱|已删除邮件",
  archived:
    "archived|archiviert|archivé|archivés|archivado|archivados|archiviato|archiviati|arquivado|arquivados|gearchiveerd|zarchiwizowane|arkiverat|arkiveret|arkivert|в архиве|アーカイブ済み|已归档",
  starred:
    "starred|markiert|suivi|suivis|destacado|destacados|speciale|speciali|com estrela|met ster|oznaczone gwiazdką|stjärnmärkt|stjernemarkeret|stjernemerket|помеченные|スター付き|已加星标",
  important:
    "important|priority inbox|wichtig|importants|importante|importanti|importantes|belangrijk|ważne|viktigt|vigtig|vigtigt|viktig|важное|重要",
  unread:
    "unread|ungelesen|non lu|non lus|no leído|no leídos|da leggere|non letto|non letti|não lido|não lidos|não lida|não lidas|ongelezen|nieprzeczytane|oläst|olästa|ulæst|ulæste|ulest|uleste|непрочитанные|непрочитанное|未読|未读",
  opened:
    "opened|geöffnet|ouvert|ouverts|abierto|abiertos|aperto|aperti|aberto|abertos|geopend|otwarte|öppnat|öppnad|åbnet|åpnet|открытые|открыто|開封済み|已打开",
};
const MEANINGS: ReadonlyMap<string, Meaning> = new Map(
  Object.entries(NAMES).flatMap(([meaning, names]) => names.split("|").map((name) => [name, meaning as Meaning])),
);
const PLACES: Readonly<Partial<Record<Meaning, Destination>>> = {
  inbox: { path: "INBOX" },
  sent: { path: "Sent", specialUse: "\\Sent" },
  drafts: { path: "Drafts", specialUse: "\\Drafts" },
  spam: { path: "Junk", specialUse: "\\Junk" },
  trash: { path: "Trash", specialUse: "\\Trash" },
};
/** Where mail is that has no label which is a place. */
export const ARCHIVE: Destination = { path: "Archive", specialUse: "\\Archive" };
const CATEGORY = /^(?:category|kategorie|catégorie|categoría|categoria|categorie|kategoria|kategori|категория)[ :]/;
/** A keyword that a mail program set over IMAP. */
const IMAP_KEYWORD = /^IMAP_(.+)$/;

export interface Labelled {
  readonly flags: readonly string[];
  readonly into: readonly Destination[];
}

/**
 * X-Gmail-Labels of a Takeout: labels with commas between, in quotes where they hold one, all in encoded-words where they are
 * not ASCII. Each is a place, a flag or a keyword; a message is in all of its places.
 */
export function readTakeoutLabels(field: string): Labelled {
  return readLabels(splitLabels(decodeWords(field)));
}

function readLabels(labels: readonly string[]): Labelled {
  const flags = new Set<string>(["\\Seen"]);
  const into = new Map<string, Destination>();
  for (const label of labels) {
    const meaning = MEANINGS.get(label.toLowerCase());
    const keyword = IMAP_KEYWORD.exec(label)?.[1];
    const place = meaning === undefined ? { path: label.split("/").filter(Boolean).join("/") } : PLACES[meaning];
    if (keyword !== undefined) flags.add(keyword);
    else if (CATEGORY.test(label.toLowerCase())) flags.add(label.replace(/[ :]+/g, "_"));
    else if (meaning === "unread") flags.delete("\\Seen");
    else if (meaning === "starred") flags.add("\\Flagged");
    else if (meaning === "important") flags.add("$Important");
    else if (place) into.set(place.path, place);
    if (meaning === "drafts") flags.add("\\Draft");
  }
  return { flags: [...flags], into: into.size > 0 ? [...into.values()] : [ARCHIVE] };
}

/** Mailboxes for a message's labels as IMAP tells them (X-GM-LABELS), where Gmail's own begin with a backslash. */
export function readImapLabels(labels: Iterable<string>): readonly Destination[] {
  return readLabels([...labels].map((label) => label.replace(/^\\/, ""))).into;
}

function splitLabels(text: string): string[] {
  const labels = text.match(/\s*"(?:[^"\\]|\\.)*"\s*|[^,]+/g) ?? [];
  return labels
    .map((label) =>
      label
        .trim()
        .replace(/^"(.*)"$/s, "$1")
        .replace(/\\(.)/gs, "$1"),
    )
    .filter(Boolean);
}
