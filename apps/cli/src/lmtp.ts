import { fingerprintOf, trustRecord } from "@restante/engine";
import type { Config } from "@restante/host";
import { getUser, openContext } from "./context.ts";
import { EXIT } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { print } from "./print.ts";

/** `restante lmtp trust ADDRESS`: this host delivers by the key that the directory shows now. */
export async function trustAddress(
  config: Config,
  [address]: readonly [string],
  flags: Pick<Flags, "json">,
): Promise<number> {
  await using context = await openContext(config);
  const user = await getUser(context, address);
  const isChanged = await trustRecord(context.seenRecords, user);
  const key = fingerprintOf(user.record);
  if (flags.json) print(flags, { address: user.address, key, version: user.record.keyVersion, isChanged });
  else
    print(flags, [
      `Mail for ${user.address} is sealed here to ${key} (version ${user.record.keyVersion}).`,
      "It is what the directory shows. At their next sign-in its owner is told if it is not theirs.",
    ]);
  return EXIT.well;
}
