import { pathOfName } from "./wire/mailbox-name.ts";
import type { MailboxFilter } from "./wire/notify-events.ts";

/** A filter as a function of a mailbox's path, and of whether it is subscribed. However many names it has it costs the same. */
export function fitting(filter: MailboxFilter, isUtf8: boolean): (path: string, isSubscribed: boolean) => boolean {
  switch (filter.kind) {
    case "selected":
    case "selected-delayed":
      return () => false;
    case "inboxes":
      return (path) => path === "INBOX";
    case "personal":
      return () => true;
    case "subscribed":
      return (_path, isSubscribed) => isSubscribed;
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
