import { asStoreFailure } from "../../bay/store-failure.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { accountPrefix, type User, type UserDirectory } from "../sign-in/users.ts";

/** Deletes an account: the ways in first, then the rest. Mail for it is refused at once. */
export async function deleteAccount(
  { store, users }: { readonly store: ObjectStore; readonly users: UserDirectory },
  user: User,
): Promise<void> {
  await users.remove(user.address);
  await deleteObjects(store, accountPrefix(user.record));
}

/** All objects of an account, the ways in first. */
export async function deleteObjects(store: ObjectStore, prefix: string): Promise<void> {
  await deleteAll(store, `${prefix}slot/`);
  await deleteAll(store, prefix);
}

const DELETED_AT_ONCE = 500;

async function deleteAll(store: ObjectStore, prefix: string): Promise<void> {
  for (;;) {
    const { objects } = await asStoreFailure(store.list(prefix, { limit: DELETED_AT_ONCE }));
    if (objects.length === 0) return;
    await asStoreFailure(
      store.delete(
        objects.map(({ name }) => name),
        { essential: true },
      ),
    );
  }
}
