import { randomBytes } from "node:crypto";
import { objectStoreContract } from "../../storage/contract.ts";
import { S3_LIMITS, type S3Settings } from "./settings.ts";
import { openS3Store } from "./store.ts";

interface RealStore {
  readonly name: string;
  readonly settings: S3Settings;
  /** True for a store with create-if-absent; else the probe must find that it has none. */
  readonly creates: boolean;
}

const { RESTANTE_TEST_S3 } = process.env;
if (RESTANTE_TEST_S3 === undefined) throw new Error("RESTANTE_TEST_S3 names no store");
const { name, settings, creates } = JSON.parse(RESTANTE_TEST_S3) as RealStore;

objectStoreContract(
  name,
  async () => {
    // One bucket serves all tests, each under a prefix of its own.
    const own = { ...settings, prefix: `${randomBytes(8).toString("hex")}/` };
    const limits = { ...S3_LIMITS, pollUrgentMs: 20 };
    const [store, other] = [await openS3Store(own, limits), await openS3Store(own, limits)];
    return {
      store,
      other,
      async dispose() {
        await Promise.all([store.dispose(), other.dispose()]);
      },
    };
  },
  { creates, floors: false },
);
