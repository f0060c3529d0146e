import { composed } from "@restante/mime";
import { asStoreFailure } from "../../bay/store-failure.ts";
import {
  APP_ID_BYTES,
  CryptoError,
  formatAppId,
  formatAppPassword,
  makeSlot,
  openSlotLabel,
  type SlotLabel,
} from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { folderOf } from "../../storage/object-kinds.ts";
import type { User } from "../sign-in/users.ts";
import { asOwner, changeSlots, type OwnerAccess, passwordSecret, type SlotTools } from "./slots.ts";

/** App passwords of an account, and characters of a label. */
export const APP_PASSWORDS_MAX = 100;
const LABEL_CHARS_MAX = 100;
const PREFIX = `${folderOf("slot")}app-`;

export interface AppPassword {
  readonly id: string;
  readonly label: string;
  readonly madeMs: number;
}

/** The slot of the app password with this id. */
export function appSlotName(id: string): string {
  return PREFIX + id;
}

/** A label as it is kept. Throws EngineError `invalid`. */
export function checkLabel(label: string): string {
  const text = composed(label).trim();
  if (text === "" || [...text].length > LABEL_CHARS_MAX || /\p{Cc}/u.test(text))
    throw new EngineError("invalid", `a label has 1 to ${LABEL_CHARS_MAX} characters`);
  return text;
}

/** Makes an app password, shown once and kept nowhere. Errors: `not-permitted`, `invalid`, `already-exists`. */
export async function addAppPassword(
  tools: SlotTools,
  user: User,
  password: string,
  label: string,
): Promise<{ readonly id: string; readonly appPassword: string }> {
  const text = checkLabel(label);
  const { store, platform, pepper } = tools;
  return asOwner(tools, user, passwordSecret(pepper, password), async (access) => {
    const { prefix, ring, mail } = access;
    const known = await readLabels(tools, access);
    if (known.some((item) => item.label === text))
      throw new EngineError("already-exists", "an app password of that label exists");
    if (known.length >= APP_PASSWORDS_MAX)
      throw new EngineError("invalid", `an account has at most ${APP_PASSWORDS_MAX} app passwords`);
    const id = platform.crypto.random(APP_ID_BYTES);
    const code = platform.crypto.random(16);
    const name = appSlotName(formatAppId(id));
    const bytes = await makeSlot(platform.crypto, name, { kind: "app", secret: code }, ring, {
      label: { text, madeMs: platform.now() },
    });
    await changeSlots(store, prefix, mail, { names: [...mail.state.slots.names, name], made: [{ name, bytes }] });
    return { id: formatAppId(id), appPassword: formatAppPassword(id, code) };
  });
}

/** Errors: `not-permitted`. */
export async function listAppPasswords(tools: SlotTools, user: User, password: string): Promise<AppPassword[]> {
  return asOwner(tools, user, passwordSecret(tools.pepper, password), (access) => readLabels(tools, access));
}

/** Ends an app password, named by its label or id: running servers sign out who came in by it. Errors: `not-permitted`,
 * `not-found`. */
export async function revokeAppPassword(tools: SlotTools, user: User, password: string, which: string): Promise<void> {
  const wanted = composed(which).trim();
  await asOwner(tools, user, passwordSecret(tools.pepper, password), async (access) => {
    const found = (await readLabels(tools, access)).find(({ id, label }) => label === wanted || id === wanted);
    if (!found) throw new EngineError("not-found", "there is no app password of that label");
    const { prefix, mail } = access;
    const names = mail.state.slots.names.filter((name) => name !== appSlotName(found.id));
    await changeSlots(tools.store, prefix, mail, { names, made: [] });
  });
}

async function readLabels({ store, platform }: SlotTools, { prefix, ring, mail }: OwnerAccess): Promise<AppPassword[]> {
  const listed = mail.state.slots.names.filter((name) => name.startsWith(PREFIX));
  return Promise.all(
    listed.map(async (name) => {
      const got = await asStoreFailure(store.get(prefix + name));
      const id = name.slice(PREFIX.length);
      const { text, madeMs } = got.found ? labelOf(() => openSlotLabel(platform.crypto, name, got.bytes, ring)) : LOST;
      return { id, label: text, madeMs };
    }),
  );
}

/** The label of a slot that the store lost or damaged: it can still be revoked, by its id. */
const LOST: SlotLabel = { text: "(damaged)", madeMs: 0 };

function labelOf(open: () => SlotLabel): SlotLabel {
  try {
    return open();
  } catch (error) {
    if (error instanceof CryptoError) return LOST;
    throw error;
  }
}
