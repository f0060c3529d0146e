import { expect } from "vitest";
import { position } from "../bay/position.ts";
import type { PageStore } from "../bay/snapshots.ts";
import { utf8 } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import type { EmailSource } from "../mail/checkpoint/email-capture.ts";
import { captureMail, loadMail } from "../mail/checkpoint/snapshot.ts";
import { encodeHeader } from "../mail/contents/header.ts";
import { decodeTextPage, joinedTexts, PRESENT } from "../mail/contents/list-text.ts";
import { decodeIdsPage, factsIn, type IdsPage, type ThreadFacts } from "../mail/contents/thread-facts.ts";
import { DERIVED_GROUPS, DERIVED_PAGE_EMAILS, type DerivedGroup } from "../mail/state/pages.ts";
import { captureSource, memoryPages } from "./checkpoint-kit.ts";
import { adding, bareEmail } from "./email-kit.ts";
import { World } from "./world-kit.ts";

interface Sequenced {
  readonly sequence: number;
  readonly index: number;
}

/** A world whose emails have headers, and whose checkpoints are written one after the other. */
export class Written {
  readonly world: World = new World();
  readonly #pages = memoryPages();
  /** By number; a plain one where there is none. */
  readonly headers: Map<number, string | Uint8Array> = new Map();
  /** Headers that were read. */
  reads = 0;
  readonly writes: Record<DerivedGroup, number> = { texts: 0, ids: 0 };
  breaths = 0;
  readonly #damaged = new Set<DerivedGroup>();
  #covers = 100;
  #emails = 0;

  add(count: number): void {
    const { inbox } = this.world.state;
    const emails = Array.from({ length: count }, () => {
      const n = ++this.#emails;
      return bareEmail([n >> 16, n >> 8, n & 255]);
    });
    this.world.apply({ ...adding(inbox.id, emails), since: position(1000) });
  }

  /** The emails of the first add, from this one to that. */
  expunge(from: number, to: number): void {
    const { state } = this.world;
    const [first, last] = [from, to].map((index) => ({ sequence: 2, index })) as [Sequenced, Sequenced];
    const targets = [{ writer: state.writers[0]!, first, last }];
    const change = { mode: "add", flags: ["\\Deleted"] } as const;
    this.world.apply({ kind: "flags", mailbox: state.inbox.id, targets, change });
    this.world.apply({ kind: "expunge", mailbox: state.inbox.id, targets });
  }

  /** Pages of a group can't be read from now on. */
  damage(group: DerivedGroup): void {
    this.#damaged.add(group);
  }

  async checkpoint(thorough: "changes" | "sweep" | "anew" = "changes"): Promise<void> {
    const store: PageStore = {
      ...this.#pages,
      write: (kind, content) => {
        if (kind === "texts" || kind === "ids") this.writes[kind]++;
        return this.#pages.write(kind, content);
      },
    };
    const source: EmailSource = {
      ...captureSource,
      readTexts: async (name) => {
        if (this.#damaged.has("texts")) throw new EngineError("corrupt", "damaged");
        return decodeTextPage(await this.#pages.read("texts", name));
      },
      readIds: async (name) => {
        if (this.#damaged.has("ids")) throw new EngineError("corrupt", "damaged");
        return decodeIdsPage(await this.#pages.read("ids", name), DERIVED_PAGE_EMAILS);
      },
      readHeader: async (state, row) => {
        this.reads++;
        const number = state.emails.columns.number.get(row);
        const header = this.headers.get(number) ?? `Subject: Mail ${number}\r\n\r\n`;
        return typeof header === "string" ? encodeHeader(utf8(header)) : header;
      },
    };
    const covers = position(++this.#covers);
    const capture = captureMail(this.world.state, source, {
      covers,
      thorough,
      breathe: async () => {
        this.breaths++;
      },
    });
    const body = await capture.write(store);
    if (thorough === "anew") this.world.state = await loadMail(body, this.#pages, covers);
    else capture.commit(covers);
    const loaded = (await loadMail(body, this.#pages, covers)).pages;
    for (const group of DERIVED_GROUPS) expect(loaded[group]).toEqual(this.world.state.pages[group]);
  }

  /** As an older program's checkpoint would be. */
  forget(group: DerivedGroup): void {
    const { state } = this.world;
    state.pages = { ...state.pages, [group]: [] };
  }

  /** Facts that a page of ids has, email by email. */
  async facts(page: number): Promise<readonly (ThreadFacts | undefined)[]> {
    if (!this.world.state.pages.ids[page]) return [];
    const ids = await this.idsPage(page);
    return Array.from(ids.starts, (_, at) => factsIn(ids, at));
  }

  async idsPage(page: number): Promise<IdsPage> {
    return decodeIdsPage(await this.#pages.read("ids", this.world.state.pages.ids[page]!), DERIVED_PAGE_EMAILS);
  }

  /** Of a page and field what is known, email by email. */
  async run(page: number, field: number): Promise<readonly (string | number)[]> {
    const name = this.world.state.pages.texts[page];
    if (!name) return [];
    const run = decodeTextPage(await this.#pages.read("texts", name))[field]!;
    const texts = joinedTexts(run).split("\0");
    return texts.map((text, at) => (run.status[at] === PRESENT ? text : run.status[at]!));
  }

  subjects(page: number): Promise<readonly (string | number)[]> {
    return this.run(page, 3);
  }
}
