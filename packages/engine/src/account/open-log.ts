import { hexText } from "../bay/entry.ts";
import { LinearBay, type Witness } from "../bay/linear-bay.ts";
import { createPageStore } from "../bay/page-store.ts";
import type { WriterId } from "../bay/writer.ts";
import type { Ring } from "../crypto/index.ts";
import type { Outcome } from "../mail/apply.ts";
import { Contents } from "../mail/contents.ts";
import { mailMachine } from "../mail/mail.ts";
import type { Op } from "../mail/op.ts";
import { captureMail, loadMail } from "../mail/snapshot.ts";
import type { MailState } from "../mail/state.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import type { Platform } from "./platform.ts";
import { ringSealer } from "./sealer.ts";

/** An account's log, at its present end, and what reads the contents that it names. */
export async function openLog(
  store: ObjectStore,
  prefix: string,
  platform: Platform,
  ring: Ring,
  witness?: Witness,
): Promise<{ readonly bay: LinearBay<MailState, Op, Outcome>; readonly contents: Contents }> {
  const sealer = ringSealer(platform.crypto, ring);
  const pages = createPageStore(store, prefix, sealer, platform.crypto.random);
  const bay: LinearBay<MailState, Op, Outcome> = await LinearBay.open({
    store,
    prefix,
    machine: mailMachine,
    snapshots: {
      capture: (state) => captureMail(state, (email) => contents.readRecord(state, email)),
      load: loadMail,
    },
    pages,
    sealer,
    witness,
    writer: hexText(platform.crypto.random(8)) as WriterId,
    delay: platform.delay,
  });
  const contents = new Contents(bay, { store, prefix, pages }, platform.crypto, ring.account);
  return { bay, contents };
}
