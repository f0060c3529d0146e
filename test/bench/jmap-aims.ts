/** The aim of a row of jmap-load.mjs, and the time of Stalwart 0.16 elsewhere, on two such cores and without syncing anything: p50, ms. */
export interface Aim {
  readonly aim?: number;
  readonly stalwart?: string;
}

export const JMAP_AIMS: Readonly<Record<string, Aim>> = {
  session: { aim: 0.4, stalwart: "0.2" },
  "mailbox-get": { aim: 0.6, stalwart: "1.4" },
  "query-50": { aim: 0.7, stalwart: "3.4" },
  "query-50-collapse": { aim: 0.8, stalwart: "3.8" },
  "query-deep": { aim: 1.2, stalwart: "4.1" },
  "query-flagged": { aim: 1, stalwart: "3.5" },
  "query-from": { aim: 5, stalwart: "5.4" },
  "query-subject": { aim: 3, stalwart: "6.2" },
  "query-thread-keyword": { aim: 3, stalwart: "17.7" },
  "query-all": { aim: 10, stalwart: "17.5" },
  "text-rare": { stalwart: "3.7" },
  "get-50": { aim: 1.4, stalwart: "1.4 to 2.3" },
  "get-50-structure": { aim: 3, stalwart: "2.3 to 4.3" },
  "get-1-body": { aim: 0.8, stalwart: "0.7" },
  "query-get-500": { aim: 8, stalwart: "10.1" },
  "thread-get": { aim: 0.7, stalwart: "7.3" },
  "cold-boot": { aim: 9, stalwart: "15 to 19" },
  "sync-chain": { aim: 3, stalwart: "5.8" },
  "changes-none": { aim: 0.3, stalwart: "0.26" },
  "changes-15": { aim: 0.4, stalwart: "0.26" },
  "mailbox-changes": { aim: 0.4, stalwart: "0.3" },
  "query-changes": { aim: 1.5, stalwart: "4.8" },
  "set-1": { aim: 1.3, stalwart: "1.1" },
  "set-500": { aim: 10, stalwart: "14 to 23" },
  "move-1": { aim: 2.8, stalwart: "2.5" },
  "import-1": { aim: 3, stalwart: "2.6" },
  push: { aim: 1, stalwart: "0.1 to 0.2" },
};
