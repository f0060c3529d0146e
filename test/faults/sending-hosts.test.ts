import { expect, test } from "vitest";
import { testSeed } from "../kit/seed.ts";
import { sendingHosts } from "../kit/sending-hosts.ts";

/** `--rounds 1000` is what it takes to be sure. */
const submissions = Number(process.env.RESTANTE_FAULT_ROUNDS ?? 200);

test(
  `two hosts over one S3 send ${submissions} mails, some of them taken back in flight`,
  async () => {
    expect(submissions).toBeGreaterThan(0);
    await sendingHosts({ submissions, seed: testSeed() });
  },
  30 * 60_000,
);
