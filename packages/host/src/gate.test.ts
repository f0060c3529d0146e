import { once } from "node:events";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type Dismissal, Gate, type GateLimits, type Visitor } from "./gate.ts";

/** A listener behind a gate; all come from the same address, and `network` says from which network each is. */
async function setUp(limits: Partial<GateLimits>, network: () => string = () => "one") {
  const gate = new Gate({ networkOf: network, limits });
  const visitors: (Visitor | undefined)[] = [];
  const dismissals: [number, Dismissal][] = [];
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.resume();
    const index = visitors.length;
    const visitor = gate.enter(socket, (why) => {
      dismissals.push([index, why]);
      socket.end("bye");
    });
    visitors.push(visitor);
    if (visitor) socket.write("hello");
    else socket.destroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const clients: Socket[] = [];
  onTestFinished(() => {
    for (const client of clients) client.destroy();
    server.close();
  });
  const come = async (): Promise<{ readonly socket: Socket; readonly gone: Promise<unknown> }> => {
    const socket = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1" });
    clients.push(socket);
    socket.on("error", () => socket.destroy());
    const gone = new Promise((resolve) => socket.once("close", resolve));
    await Promise.race([once(socket, "data"), gone]);
    return { socket, gone };
  };
  const settled = async (connections: number): Promise<void> => {
    while (gate.counts.connections !== connections) await new Promise((resolve) => setImmediate(resolve));
  };
  return { gate, visitors, dismissals, come, settled };
}

test("the stranger who has been here longest makes room for a newcomer; who signed in stays", async () => {
  const { gate, visitors, dismissals, come, settled } = await setUp({ strangersMax: 2 });
  const [first, second] = [await come(), await come()];
  visitors[0]!.signedIn();
  await come();
  expect(dismissals).toEqual([]);
  await come();
  expect(dismissals).toEqual([[1, "too-many"]]);
  await second.gone;
  await settled(3);
  expect(gate.counts.strangers).toBe(2);
  first.socket.destroy();
  await settled(2);
});

test("each network has its own bound", async () => {
  let network = "crowd";
  const { gate, dismissals, come, settled } = await setUp({ strangersPerNetworkMax: 1 }, () => network);
  const first = await come();
  network = "other";
  await come();
  expect(dismissals).toEqual([]);
  network = "crowd";
  await come();
  expect(dismissals).toEqual([[0, "too-many"]]);
  await first.gone;
  await settled(2);
  expect(gate.counts.strangers).toBe(2);
});

test("beyond the number of connections, signed in or not, a newcomer is turned away, until one goes", async () => {
  const { visitors, come, settled } = await setUp({ connectionsPerNetworkMax: 2 });
  const first = await come();
  await come();
  for (const visitor of visitors) visitor!.signedIn();
  await (await come()).gone;
  expect(visitors[2]).toBeUndefined();
  first.socket.destroy();
  await settled(1);
  await come();
  expect(visitors[3]).toBeDefined();
});

test("time to sign in is counted from the start, whatever the client says meanwhile; a socket that hangs is cut", async () => {
  const { gate, dismissals, come, settled } = await setUp({ signInMs: 60 });
  const { socket, gone } = await come();
  const talk = setInterval(() => socket.write("x"), 5);
  onTestFinished(() => clearInterval(talk));
  // It doesn't end its side when told to: the server destroys what is left.
  socket.allowHalfOpen = true;
  await gone;
  await settled(0);
  expect(dismissals).toEqual([[0, "too-late"]]);
  expect(gate.counts.strangers).toBe(0);
});

test("who signed in is not dismissed, and nothing is kept of who went", async () => {
  const { gate, visitors, dismissals, come, settled } = await setUp({ signInMs: 1000 });
  const stays = await come();
  visitors[0]!.signedIn();
  for (let n = 0; n < 20; n++) (await come()).socket.resetAndDestroy();
  await settled(1);
  const late = await come();
  await late.gone;
  await settled(1);
  expect(dismissals).toEqual([[21, "too-late"]]);
  expect(stays.socket.destroyed).toBe(false);
  expect(gate.counts.strangers).toBe(0);
});

test("who went before we looked is turned away, and counts for nothing", () => {
  const gate = new Gate({ networkOf: () => "one", limits: {} });
  const socket = new Socket();
  socket.destroy();
  expect(gate.enter(socket, () => undefined)).toBeUndefined();
  expect(gate.counts).toMatchObject({ connections: 0, strangers: 0 });
});
