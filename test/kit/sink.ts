import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "./random.ts";

/** Milliseconds that the sink takes for a word, so that what befalls us falls between its words. */
const WORD_MS_MAX = 20;

export interface Sink {
  /** When what was taken, by subjects. */
  readonly taken: ReadonlyMap<string, readonly number[]>;
  /** How many mails it told to come later. */
  readonly deferred: number;
  readonly port: number;
  close(): void;
}

/** A smarthost that takes all mail, and knows when it took what. Of a thousand it tells so many subjects to come again later
 * when they come first. */
export async function openSink(random: Random, laterOfThousand = 0, wordMsMax: number = WORD_MS_MAX): Promise<Sink> {
  const taken = new Map<string, number[]>();
  const known = new Set<string>();
  let deferred = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket)).on("error", () => socket.destroy());
    let [text, isData, subject] = ["", false, ""];
    let said = Promise.resolve();
    const say = (line: string, done: () => void = () => undefined): void => {
      const pause = random.between(0, wordMsMax);
      said = said.then(async () => {
        if (pause > 0) await delay(pause);
        // A reply to a closed connection counts for as little as one that was never given.
        if (socket.destroyed) return;
        socket.write(`${line}\r\n`);
        done();
      });
    };
    const take = (of: string): void => void taken.set(of, [...(taken.get(of) ?? []), performance.now()]);
    const end = (of: string): void => {
      const isNew = !known.has(of);
      known.add(of);
      const isLater = isNew && random.between(1, 1000) <= laterOfThousand;
      deferred += isLater ? 1 : 0;
      if (isLater) say("451 4.7.1 come again later");
      else say("250 2.0.0 taken", () => take(of));
    };
    const hear = (line: string): void => {
      if (isData) {
        subject ||= /^Subject: (.*)/.exec(line)?.[1] ?? "";
        if (line !== ".") return;
        end(subject);
        [isData, subject] = [false, ""];
      } else if (/^EHLO/i.test(line)) say("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 DSN");
      else if (/^DATA/i.test(line)) {
        isData = true;
        say("354 go on");
      } else say("250 2.0.0 ok");
    };
    say("220 sink");
    socket.on("data", (piece) => {
      text += piece.toString("latin1");
      for (let end = text.indexOf("\r\n"); end >= 0; end = text.indexOf("\r\n")) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        hear(line);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    taken,
    get deferred() {
      return deferred;
    },
    port: (server.address() as { readonly port: number }).port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
