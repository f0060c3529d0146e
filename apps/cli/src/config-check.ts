import type { Config } from "@restante/host";
import { EXIT } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { print } from "./print.ts";

/** `restante config check` */
export async function checkConfig(config: Config, flags: Pick<Flags, "json">): Promise<number> {
  const file = config.file ?? "defaults";
  print(flags, flags.json ? { file } : [`${file}: well`]);
  return EXIT.well;
}
