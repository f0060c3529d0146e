import { signUp, trustRecord } from "@restante/engine";
import { readConfig } from "@restante/host";
import { getUser, openContext, readPepper } from "../../apps/cli/src/context.ts";

/** `node many-accounts.ts COUNT PASSWORD`: makes user1@many.example, user2… as `restante account add` does, in one process. */
const [count, password] = process.argv.slice(2) as [string, string];
await using context = await openContext(readConfig(undefined, process.env));
const tools = { ...context, pepper: await readPepper(context.config) };
for (let n = 1; n <= Number(count); n++) {
  const address = `user${n}@many.example`;
  await signUp(tools, address, password);
  await trustRecord(context.seenRecords, await getUser(context, address));
}
