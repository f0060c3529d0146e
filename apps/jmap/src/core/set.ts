import { invalidArguments, type SetError } from "./errors.ts";
import { type Context, checkObjects, resolveId } from "./method.ts";
import { withoutWhatIs } from "./patch.ts";
import { type Argument, ID, list, mapOf, OBJECT, optional, required, TEXT } from "./types.ts";

type Given = Readonly<Record<string, unknown>>;

/** The arguments of a standard /set: RFC 8620 §5.3. */
export const SET_ARGUMENTS: {
  readonly accountId: Argument<string>;
  readonly ifInState: Argument<string | undefined>;
  readonly create: Argument<ReadonlyMap<string, Given> | undefined>;
  readonly update: Argument<ReadonlyMap<string, Given> | undefined>;
  readonly destroy: Argument<readonly string[] | undefined>;
} = {
  accountId: required(ID),
  ifInState: optional(TEXT),
  create: optional(mapOf(OBJECT)),
  update: optional(mapOf(OBJECT)),
  destroy: optional(list(ID)),
};

interface SetArguments {
  readonly create: ReadonlyMap<string, Given> | undefined;
  readonly update: ReadonlyMap<string, Given> | undefined;
  readonly destroy: readonly string[] | undefined;
}

/** Results of a /set, by object: each is told once, as done or with the error why not. */
export class SetResults {
  readonly create: ReadonlyMap<string, Given>;
  /** By ids, creation ids resolved. */
  update: ReadonlyMap<string, Given>;
  readonly destroy: readonly string[];
  readonly #created = new Map<string, Given>();
  readonly #updated = new Map<string, Given | null>();
  readonly #destroyed: string[] = [];
  readonly #notCreated = new Map<string, SetError>();
  readonly #notUpdated = new Map<string, SetError>();
  readonly #notDestroyed = new Map<string, SetError>();

  /** Throws MethodError: `requestTooLarge`; `invalidArguments` for one that is updated twice. */
  constructor({ create, update, destroy }: SetArguments, context: Pick<Context, "createdIds">) {
    checkObjects((create?.size ?? 0) + (update?.size ?? 0) + (destroy?.length ?? 0));
    this.create = create ?? new Map();
    this.destroy = [...new Set((destroy ?? []).map((id) => resolveId(id, context)))];
    const going = new Set(this.destroy);
    const updates = new Map<string, Given>();
    for (const [given, patch] of update ?? []) {
      const id = resolveId(given, context);
      if (updates.has(id)) throw invalidArguments("an object is updated twice");
      updates.set(id, patch);
    }
    for (const id of updates.keys()) if (going.has(id)) this.#notUpdated.set(id, { type: "willDestroy" });
    this.update = new Map([...updates].filter(([id]) => !going.has(id)));
  }

  /** Takes out of each update the properties that already have the asked value: {@link withoutWhatIs}. `shown`: present
   * objects by id. */
  leaveOutWhatIs(shown: ReadonlyMap<string, Given>, properties: ReadonlySet<string>): void {
    const without = (id: string, patch: Given): Given => {
      const known = shown.get(id);
      return known ? withoutWhatIs(patch, known, properties) : patch;
    };
    this.update = new Map([...this.update].map(([id, patch]) => [id, without(id, patch)]));
  }

  /** `object` has what the client did not say. Later calls find the object by its creation id. */
  created(
    creationId: string,
    object: Given & { readonly id: string },
    { createdIds }: Pick<Context, "createdIds">,
  ): void {
    this.#created.set(creationId, object);
    createdIds.set(creationId, object.id);
  }
  /** `changed` has what the server made otherwise than it was asked for. */
  updated(id: string, changed: Given | null = null): void {
    this.#updated.set(id, changed);
  }
  destroyed(id: string): void {
    this.#destroyed.push(id);
  }
  notCreated(creationId: string, error: SetError): void {
    this.#notCreated.set(creationId, error);
  }
  notUpdated(id: string, error: SetError): void {
    this.#notUpdated.set(id, error);
  }
  notDestroyed(id: string, error: SetError): void {
    this.#notDestroyed.set(id, error);
  }

  get isEmpty(): boolean {
    return this.#created.size + this.#updated.size + this.#destroyed.length === 0;
  }

  answer(accountId: string, oldState: string, newState: string): Given {
    return {
      accountId,
      oldState,
      newState,
      created: objectOf(this.#created),
      updated: objectOf(this.#updated),
      destroyed: this.#destroyed.length > 0 ? this.#destroyed : null,
      notCreated: objectOf(this.#notCreated),
      notUpdated: objectOf(this.#notUpdated),
      notDestroyed: objectOf(this.#notDestroyed),
    };
  }
}

/** Null for nothing: RFC 8620 §5.3. */
function objectOf(items: ReadonlyMap<string, unknown>): Given | null {
  return items.size > 0 ? Object.fromEntries(items) : null;
}
