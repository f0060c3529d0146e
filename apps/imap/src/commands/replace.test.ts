import { FIRST, setUpAda } from "@restante/engine/testing";
import { expect, onTestFinished, test } from "vitest";
import { Received, startTestServer } from "../test-kit.ts";

async function signedIn() {
  const { place, accounts } = await setUpAda();
  const all = accounts();
  onTestFinished(() => all.dispose());
  const server = await startTestServer({ signIn: (user, password) => all.login(user, password, "127.0.0.1") });
  const client = async () => {
    const socket = server.connect("imap");
    const received = new Received(socket);
    const ask = async (text: string): Promise<string> => {
      socket.write(`${text}\r\n`);
      return received.until(new RegExp(`^(?:${text.split(" ")[0]} |\\* BYE ).*\\r\\n`, "m"));
    };
    await ask(`a LOGIN ada@example.org "${FIRST}"`);
    return ask;
  };
  return { place, client };
}

test("a message that is replaced, and can't be moved into the other mailbox then, is not told to be as it was", async () => {
  const { place, client } = await signedIn();
  const ask = await client();
  await ask("b APPEND INBOX {3+}\r\nold");
  await ask("c SELECT INBOX");
  let entries = 0;
  place.fault = (operation) => (operation === "putIfAbsent" && entries++ > 0 ? { kind: "unavailable" } : undefined);
  expect(await ask("d REPLACE 1 Sent {3+}\r\nnew")).toMatch(/^\* BYE .*\r\n$/m);
  expect(entries).toBeGreaterThan(1);
  place.fault = () => undefined;
  const again = await client();
  await again("e SELECT INBOX");
  expect(await again("f FETCH 1:* BODY.PEEK[]")).toMatch(/\{3\}\r\nnew\)/);
});

test("a message that can't be replaced is as it was", async () => {
  const { place, client } = await signedIn();
  const ask = await client();
  await ask("b APPEND INBOX {3+}\r\nold");
  await ask("c SELECT INBOX");
  place.fault = (operation) => (operation === "putIfAbsent" ? { kind: "unavailable" } : undefined);
  expect(await ask("d REPLACE 1 Sent {3+}\r\nnew")).toMatch(/^d NO \[UNAVAILABLE\]/m);
  place.fault = () => undefined;
  expect(await ask("e FETCH 1:* BODY.PEEK[]")).toMatch(/\{3\}\r\nold\)/);
});
