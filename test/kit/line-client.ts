import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Hears of each command before it is sent, and what was answered: all of it, or what came until the connection ended. */
export interface Listener {
  sent(command: string): void;
  got(answer: string, ended: boolean): void;
}

/** A client that speaks lines: IMAP and LMTP as they stand on the wire, one character a byte. */
export class LineClient {
  readonly socket: Socket;
  listener: Listener | undefined;
  #received = "";
  #ended = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    socket.on("data", (chunk: string) => {
      this.#received += chunk;
      this.#wake();
    });
    socket.on("close", end);
    socket.on("error", end);
  }

  static async connect(port: number): Promise<LineClient> {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const client = new LineClient(socket);
    await once(socket, "connect");
    return client;
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** All up to and with the first match; throws when the connection ends first. */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.#received);
      if (match) {
        const end = match.index + match[0].length;
        const text = this.#received.slice(0, end);
        this.#received = this.#received.slice(end);
        return text;
      }
      if (this.#ended) throw new Error(`connection ended: ${JSON.stringify(this.#received.slice(-200))}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Sends an IMAP command; resolves with its whole answer, the tagged line last. */
  async command(text: string): Promise<string> {
    const tag = `t${++this.#tag}`;
    this.listener?.sent(text);
    this.send(`${tag} ${text}\r\n`);
    return this.#answerTo(tag);
  }

  /** IDLE: RFC 2177. Sends DONE once `over` resolves; resolves with all that was told. */
  async idle(over: Promise<unknown>): Promise<string> {
    const tag = `t${++this.#tag}`;
    this.listener?.sent("IDLE");
    this.send(`${tag} IDLE\r\n`);
    const answer = this.#answerTo(tag);
    await Promise.race([over, answer]);
    this.send("DONE\r\n");
    return answer;
  }

  async #answerTo(tag: string): Promise<string> {
    try {
      const answer = await this.until(new RegExp(`^${tag} (?:OK|NO|BAD) .*\\r\\n`, "m"));
      this.listener?.got(answer, false);
      return answer;
    } catch (error) {
      this.listener?.got(this.#received, true);
      throw error;
    }
  }
  #tag = 0;

  end(): void {
    this.socket.destroy();
  }
}

/** Delivers `message` (CRLF line ends) by LMTP; resolves with a reply a recipient. Rejects when the connection ends. */
export async function deliver(
  client: LineClient,
  recipients: readonly string[],
  message: string,
  from = "sender@example.net",
): Promise<string[]> {
  const reply = async (): Promise<string> => (await client.until(/^\d{3} .*\r\n/m)).trim();
  client.send(`MAIL FROM:<${from}>\r\n`);
  await reply();
  let accepted = 0;
  const refused: string[] = [];
  for (const recipient of recipients) {
    client.send(`RCPT TO:<${recipient}>\r\n`);
    const answer = await reply();
    if (answer.startsWith("250")) accepted++;
    else refused.push(answer);
  }
  if (accepted === 0) {
    client.send("RSET\r\n");
    await reply();
    return refused;
  }
  client.send("DATA\r\n");
  await reply();
  client.send(`${message.replace(/^\./gm, "..")}${message.endsWith("\r\n") ? "" : "\r\n"}.\r\n`);
  const replies: string[] = [];
  for (let i = 0; i < accepted; i++) replies.push(await reply());
  return [...refused, ...replies];
}

export async function connectLmtp(port: number): Promise<LineClient> {
  const client = await LineClient.connect(port);
  await client.until(/^220 .*\r\n/m);
  client.send("LHLO client.example\r\n");
  await client.until(/^250 .*\r\n/m);
  return client;
}

export async function connectImap(
  port: number,
  user: string,
  password: string,
  listener?: Listener,
): Promise<LineClient> {
  const client = await LineClient.connect(port);
  client.listener = listener;
  await client.until(/^\* OK .*\r\n/m);
  const answer = await client.command(`LOGIN ${user} ${password}`);
  if (!/^t\d+ OK/m.test(answer)) throw new Error(answer);
  return client;
}
