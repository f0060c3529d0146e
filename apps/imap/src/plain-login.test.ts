import type { AccountSession } from "@restante/engine";
import { expect, test } from "vitest";
import { Received, startTestServer } from "./test-kit.ts";

test.each([
  [undefined, "AUTH=PLAIN", /^a OK /m],
  ["never", "LOGINDISABLED", /^a NO \[PRIVACYREQUIRED\]/m],
] as const)("a password in clear on loopback, plain_login %s", async (plainLogin, capability, answer) => {
  let asked = 0;
  const signIn = async (): Promise<AccountSession> => {
    asked++;
    return { onChange: () => () => undefined, ended: new AbortController().signal, close: () => undefined } as never;
  };
  const server = await startTestServer({ signIn, ...(plainLogin ? { plainLogin } : {}) });
  const socket = server.connect("imap");
  const received = new Received(socket);
  socket.write("c CAPABILITY\r\na LOGIN ada sesame\r\n");
  const answers = await received.until(/^a .*\r\n/m);
  expect(answers).toContain(capability);
  expect(answers).toMatch(answer);
  expect(asked).toBe(plainLogin ? 0 : 1);
});
