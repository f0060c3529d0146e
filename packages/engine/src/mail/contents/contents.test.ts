import { expect, test } from "vitest";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, makeAccount, open, stream } from "../../testing/account-kit.ts";
import { openView } from "../mailbox-view.ts";

const SIZE = 300_000;

test("whichever octet of a body is changed, reading it fails as damage, perhaps after good octets", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await makeAccount(place);
  const text = `Subject: x\r\n\r\n${"body ".repeat(SIZE / 5)}`;
  const account = await open(place, ring());
  await account.append(
    account.mail.getMailbox("INBOX").id,
    await account.prepare(stream(text), { mailbox: "INBOX", flags: [] }),
  );
  await account.dispose();
  const name = [...place.objects.keys()].find((key) => key.includes("/body/"))!;
  const sound = place.objects.get(name)!.bytes;
  for (let at = 0; at < sound.length; at += 20_011) {
    const bytes = sound.slice();
    bytes[at]! ^= 1;
    place.write(name, bytes);
    const again = await open(place, ring());
    const view = openView(again.mail, again.mail.getMailbox("INBOX").id, { readOnly: true });
    let read = "";
    try {
      const body = await again.contents.openBody(view.message(0));
      for await (const piece of body.read(0, body.size)) read += Buffer.from(piece).toString("latin1");
      // The key in front of it is told by the page too.
      expect(read).toBe(text);
      expect(at).toBeLessThan(2_000);
    } catch (error) {
      expect(error, `octet ${at}`).toMatchObject({ name: "EngineError", code: "corrupt" });
      expect(text.startsWith(read)).toBe(true);
    }
    await again.dispose();
  }
});
