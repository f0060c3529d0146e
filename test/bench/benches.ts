import { countRequests } from "../stores/counted-store.ts";
import { startGarage } from "../stores/garage.ts";
import type { StoreServer } from "../stores/store-server.ts";
import { startVersitygw } from "../stores/versitygw.ts";
import { type Contender, OUR_SCRIPT } from "./contender.ts";

/** A comparison: who takes part, the first being the one that the others are compared with, and what they do. */
export interface Bench {
  readonly contenders: Readonly<Record<string, Contender>>;
  readonly users: number;
  /** Options of compare.mjs, unless others are given. */
  readonly options: Readonly<Record<string, string | boolean>>;
}

const peer = (flags: readonly string[], durability: string): Contender => ({
  script: "dovecot.sh",
  flags,
  notes: `an acknowledged write: ${durability}`,
});

const SYNCED = "mail, flags and mailboxes are synced to disk before any answer; all of it is sealed";

/** Restante and Dovecots, by what an acknowledged write has survived. */
const imap: Bench = {
  contenders: {
    restante: { script: OUR_SCRIPT, flags: [], notes: `an acknowledged write: ${SYNCED}` },
    O: peer(["--fsync", "optimized"], "mail is synced before the answer, flags are not; nothing is sealed"),
    W: peer(["--fsync", "always"], "mail and flags are synced before the answer; nothing is sealed"),
    E: peer(
      ["--fsync", "optimized", "--crypt", "--zstd"],
      "as O; bodies are sealed, the index (subjects, addresses, flags) is not",
    ),
  },
  // mixed uses users up to 28.
  users: 30,
  options: { count: "3000", rounds: "3" },
};

/** A mailbox of a hundred thousand small mails: what may grow with it, and what may not. */
const large: Bench = {
  contenders: { restante: imap.contenders.restante!, O: imap.contenders.O! },
  users: 4,
  options: {
    ...{ count: "100000", "size-max": "2000", rounds: "2", appends: "50", "sample-ms": "500", warm: "10" },
    workloads: [
      ...["append-sync", "select-warm", "open-warm", "cold-open", "fetch-flags", "fetch-envelope", "store-1"],
      ...["search-flag", "search-date", "search-from", "search-subject", "sort-date", "sort-subject", "thread"],
    ].join(","),
  },
};

/** Two processes of Restante on the same ports beside one, and beside Dovecot, which has one for each connection. */
const processes: Bench = {
  contenders: {
    two: { script: OUR_SCRIPT, flags: ["--two-processes"], notes: `an acknowledged write: ${SYNCED}` },
    one: imap.contenders.restante!,
    O: imap.contenders.O!,
  },
  users: 30,
  options: { count: "1000", rounds: "3", workloads: "login-parallel,lmtp-8,lmtp-fanout,idle-lmtp,mixed" },
};

const restanteOver = (start: () => Promise<StoreServer>, storage: string, notes: string): Contender => ({
  script: OUR_SCRIPT,
  flags: [],
  notes,
  store: {
    start: async () => countRequests(await start()),
    configuration: ({ endpoint, region, bucket, key }) => `[storage]
${storage}
[s3]
endpoint = "${endpoint}"
region = "${region}"
bucket = "${bucket}"
access_key = "${key.accessKey}"
secret_key = "${key.secretKey}"
`,
  },
});

const WORKLOADS = [
  ...["append-sync", "lmtp-1", "lmtp-8", "fetch-flags", "fetch-full-cold", "fetch-full", "fetch-one", "select-warm"],
  ...["store-1", "store-all", "copy-move-expunge", "idle-append", "cold-open"],
];

/** Restante over each store. */
const stores: Bench = {
  contenders: {
    embedded: { script: OUR_SCRIPT, flags: [], notes: "SQLite and files of the same disk, synced before any answer" },
    versitygw: restanteOver(
      startVersitygw,
      'kind = "s3"',
      "all in an S3 with create-if-absent, versitygw 1.8.0 over a folder of the same disk, which syncs nothing",
    ),
    garage: restanteOver(
      () => startGarage("unix"),
      'kind = "s3"\nlog_kind = "embedded"',
      "bodies, notes, packs and pages in one node of Garage 2.5.0 by its Unix socket; the log embedded, synced",
    ),
  },
  // The deliveries go to users up to 20.
  users: 20,
  options: {
    ...{ count: "300", rounds: "3", appends: "100", deliveries: "100", "empty-cache": true },
    workloads: WORKLOADS.join(","),
  },
};

export const BENCHES: Readonly<Record<string, Bench>> = { imap, large, processes, stores };
