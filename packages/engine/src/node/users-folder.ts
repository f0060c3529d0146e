import { type Stats, statSync } from "node:fs";
import { link, mkdir, readdir, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { normalizeAddress, replaces, type User, type UserDirectory } from "../account/sign-in/users.ts";
import { decodeRecipientRecord, encodeRecipientRecord } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { addressForms } from "./address-forms.ts";
import { writeBeside } from "./whole-file.ts";

/**
 * The `static` login: a folder with one file a user, `<address>.json`, that holds public facts alone (account id and
 * public key). Reading it is reading the folder: other processes' users are seen at once. With `anyForm` a user is found
 * by each form of the address, and no address is given twice by another form of it; the exact name wins.
 */
export class UsersFolder implements UserDirectory {
  readonly #folder: string;
  readonly #anyForm: boolean;
  /** Users as their files were read last. Users that don't exist are not kept. */
  readonly #known = new Map<string, { readonly ino: number; readonly mtimeMs: number; readonly user: User }>();

  constructor(folder: string, { anyForm = false }: { readonly anyForm?: boolean } = {}) {
    this.#folder = folder;
    this.#anyForm = anyForm;
  }

  async find(address: string): Promise<User | undefined> {
    if (!this.#anyForm) return this.#findExact(normalizeAddress(address));
    for (const form of addressForms(address)) {
      const user = await this.#findExact(form);
      if (user) return user;
    }
    return undefined;
  }

  async #findExact(normalized: string): Promise<User | undefined> {
    const file = this.#file(normalized);
    // Asked for each recipient. A look at the file takes less than the way to another thread, and a file that is replaced
    // is another file.
    const facts = statIfThere(file);
    const known = this.#known.get(normalized);
    if (facts && known?.ino === facts.ino && known.mtimeMs === facts.mtimeMs) return known.user;
    this.#known.delete(normalized);
    const text = facts && (await readFile(file, "utf8").catch(absentIsUndefined));
    if (text === undefined) return undefined;
    const { publicKey } = JSON.parse(text) as { publicKey: string };
    const record = decodeRecipientRecord(new Uint8Array(Buffer.from(publicKey, "base64")));
    const user = { address: normalized, record };
    this.#known.set(normalized, { ino: facts!.ino, mtimeMs: facts!.mtimeMs, user });
    return user;
  }

  async findLocal(local: string): Promise<User | undefined> {
    const matches = (await this.#addresses()).filter((address) => address.startsWith(`${normalizeAddress(local)}@`));
    return matches.length === 1 ? this.find(matches[0]!) : undefined;
  }

  async list(): Promise<readonly User[]> {
    const users = await Promise.all((await this.#addresses()).map((address) => this.#findExact(address)));
    return users.filter((user) => user !== undefined);
  }

  async add(user: User): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    if (await this.find(user.address)) throw exists();
    const temporary = await this.#write(user);
    try {
      // Of two that add one address at once, one is told so.
      await link(temporary, this.#file(user.address));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      throw exists();
    } finally {
      await unlink(temporary);
    }
  }

  async update(user: User): Promise<void> {
    const known = await this.#findExact(user.address);
    if (!known || !replaces(user.record, known.record)) return;
    await rename(await this.#write(user), this.#file(user.address));
  }

  /** Readers look at any time. */
  #write({ address, record }: User): Promise<string> {
    const publicKey = Buffer.from(encodeRecipientRecord(record)).toString("base64");
    return writeBeside(this.#file(address), `${JSON.stringify({ address, publicKey }, undefined, 2)}\n`);
  }

  async remove(address: string): Promise<void> {
    await unlink(this.#file(normalizeAddress(address))).catch(absentIsUndefined);
  }

  async #addresses(): Promise<string[]> {
    const names = (await readdir(this.#folder).catch(absentIsUndefined)) ?? [];
    return names.filter((name) => name.endsWith(".json")).map((name) => decodeURIComponent(name.slice(0, -5)));
  }

  #file(address: string): string {
    return join(this.#folder, `${encodeURIComponent(address)}.json`);
  }
}

function exists(): EngineError {
  return new EngineError("already-exists", "an account of that address exists");
}

function statIfThere(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch (error) {
    return absentIsUndefined(error as NodeJS.ErrnoException);
  }
}

function absentIsUndefined(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT" || error.code === "ENAMETOOLONG") return undefined;
  throw error;
}
