import { pathOfName } from "./wire/mailbox-name.ts";
import type { MailboxFilter } from "./wire/notify-events.ts";

type Fits = (path: string, isSubscribed: boolean) => boolean;

/** Filters without names: one function for all who have them. */
const none: Fits = () => false;
const inboxes: Fits = (path) => path === "INBOX";
const personal: Fits = () => true;
const subscribed: Fits = (_path, isSubscribed) => isSubscribed;

/** A filter as a function of a mailbox's path, and of whether it is subscribed. However many names it has it costs the same. */
export function fitting(filter: MailboxFilter, isUtf8: boolean): Fits {
  switch (filter.kind) {
    case "selected":
    case "selected-delayed":
      return none;
    case "inboxes":
      return inboxes;
    case "personal":
      return personal;
    case "subscribed":
      return subscribed;
    case "mailboxes":
    case "subtree":
    case "subtree-one": {
      const paths = new Set(filter.names.map((name) => inboxOf(pathOfName(name, isUtf8))));
      if (filter.kind === "mailboxes") return (path) => paths.has(path);
      const levelsMax = filter.kind === "subtree" ? Number.POSITIVE_INFINITY : 1;
      return (path) => {
        let levels = 0;
        for (let end = path.length; end > 0 && levels <= levelsMax; end = path.lastIndexOf("/", end - 1), levels++)
          if (paths.has(path.slice(0, end))) return true;
        return false;
      };
    }
  }
}

function inboxOf(path: string): string {
  return path.toUpperCase() === "INBOX" ? "INBOX" : path;
}
