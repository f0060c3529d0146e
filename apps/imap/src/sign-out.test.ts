import type { AccountSession } from "@restante/engine";
import { expect, test } from "vitest";
import { Received, startTestServer } from "./test-kit.ts";

interface Account {
  readonly ended: AbortController;
  closed: number;
}

async function setUp(hiddenFrom?: (user: string | undefined) => ReadonlySet<string>) {
  const accounts = new Map<string, Account>();
  const server = await startTestServer({
    limits: { signInMs: 400 },
    ...(hiddenFrom ? { hiddenFrom } : {}),
    signIn: async (address) => {
      const account = { ended: new AbortController(), closed: 0 };
      accounts.set(address, account);
      const session = {
        address,
        ended: account.ended.signal,
        refresh: async () => undefined,
        onChange: () => () => undefined,
        close: () => {
          account.closed++;
        },
      };
      return session as unknown as AccountSession;
    },
  });
  const socket = server.connect("imap");
  const received = new Received(socket);
  const ask = (command: string): Promise<string> => {
    socket.write(`${command}\r\n`);
    return received.until(new RegExp(`^${command.split(" ", 1)[0]} .*\r\n`, "m"));
  };
  await received.until(/\r\n/);
  return { accounts, server, socket, received, ask };
}

test("who signed out is let go of: the account is closed once, and its end does not touch who came next", async () => {
  const { accounts, server, socket, ask } = await setUp();
  await ask("a LOGIN one p");
  expect(server.gate.counts.strangers).toBe(0);
  expect(await ask("b UNAUTHENTICATE")).toMatch(/ OK /);
  expect(server.gate.counts.strangers).toBe(1);
  expect(accounts.get("one")!.closed).toBe(1);
  expect(server.events.filter(({ event }) => event === "closed")).toMatchObject([
    { user: "one", commands: { LOGIN: 1 } },
  ]);
  await ask("c LOGIN two p");
  accounts.get("one")!.ended.abort(new Error("revoked"));
  expect(await ask("d NOOP")).toMatch(/ OK /);
  socket.end();
  await server.stop();
  expect([accounts.get("one")!.closed, accounts.get("two")!.closed]).toEqual([1, 1]);
  expect(server.events.filter(({ event }) => event === "closed")).toMatchObject([
    { user: "one" },
    { user: "two", commands: { UNAUTHENTICATE: 1, LOGIN: 1, NOOP: 1 } },
  ]);
});

test("who signed out is a stranger, with a stranger's time", async () => {
  const { received, ask } = await setUp();
  await ask("a LOGIN one p");
  await ask("b UNAUTHENTICATE");
  expect(await received.end()).toContain("* BYE");
});

test("where it is hidden there is no such command", async () => {
  const { ask } = await setUp((user) => new Set(user === "one" ? ["UNAUTHENTICATE"] : []));
  await ask("a LOGIN one p");
  expect(await ask("b UNAUTHENTICATE")).toMatch(/ BAD Unknown command/);
});
