import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Compose, composeConfig, type Image, readCompose, readImage } from "../kit/compose.ts";
import { connectImap, LineClient } from "../kit/line-client.ts";
import { makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { assert, command, freePort, type Interop, need, type Steps, temporaryFolder, until } from "./harness.ts";
import { startPostfix } from "./postfix.ts";

const CACHE = process.env.RESTANTE_TEST_CACHE ?? join(homedir(), ".cache", "restante");
const GARAGE = join(CACHE, "garage-2.5.0/bin/garage");
const ADA = "ada@example.org";
const PASSWORD = "sesame-of-many-words";

/** docker/compose.yml by a real client, and what each of its images runs, outside Docker. */
export const compose: Interop = async (steps) => {
  need({ "docker-compose": "/usr/bin/docker-compose", postfix: "/usr/sbin/postfix" });
  await steps.step("a compose client takes the file", () => {
    const config = composeConfig();
    assert(config?.code === 0, `${config?.client}: ${config?.out}`);
    for (const name of ["garage", "postfix", "restante"]) assert(config.out.includes(`  ${name}:`), config.out);
  });
  const { services } = readCompose();
  await steps.step("Garage's command makes its bucket, and its health check passes", () => startGarage(services));
  await mailThrough(steps, services);
};

/** The image's command line and settings, with folders and ports of this machine. */
async function startGarage(services: Compose["services"]): Promise<void> {
  assert(existsSync(GARAGE), `there is no ${GARAGE}: cargo install garage --version 2.5.0 --root there`);
  const image = readImage(services.garage!);
  const home = await temporaryFolder("compose-garage");
  const [s3, rpc, admin] = [await freePort(), await freePort(), await freePort()];
  const settings = (await readFile(join(image.folder, "garage.toml"), "utf8"))
    .replaceAll("/var/lib/garage", home)
    .replace("0.0.0.0:3900", `127.0.0.1:${s3}`)
    .replaceAll(":3901", `:${rpc}`)
    .replace(":3903", `:${admin}`);
  const file = join(home, "garage.toml");
  await writeFile(file, settings, { mode: 0o600 });
  const [program, ...args] = image.command.map((word) => (word === "/etc/garage.toml" ? file : word));
  assert(program === "garage", image.command.join(" "));
  const env = { ...process.env, ...services.garage!.environment };
  const server = spawn(GARAGE, args, { env, stdio: "ignore" });
  const ask = (...words: string[]): ReturnType<typeof command> =>
    command("env", [...pairs(services), GARAGE, "-c", file, ...words]);
  try {
    await until("Garage's health", async () => (await ask("health", "-q")).code === 0);
    const { out } = await ask("bucket", "list");
    assert(out.includes(services.restante!.environment.RESTANTE_S3_BUCKET!), out);
  } finally {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    if (server.exitCode === null && server.signalCode === null) {
      server.kill("SIGKILL");
      await ended;
    }
    await rm(home, { recursive: true });
  }
}

function pairs(services: Compose["services"]): string[] {
  return Object.entries(services.garage!.environment).map(([name, value]) => `${name}=${value}`);
}

/** Mail by SMTP to the Postfix image's command, by LMTP to the Restante image's, to a reader. Each runs on this machine. */
async function mailThrough(steps: Steps, services: Compose["services"]): Promise<void> {
  const data = await makeDataFolder();
  const added = await restante(data, ["account", "add", ADA, "--password-stdin"], `${PASSWORD}\n`);
  assert(added.code === 0, added.err);
  const restanteImage = readImage(services.restante!);
  const at = restanteImage.command.indexOf("serve");
  const server = await startServer(data, { args: restanteImage.command.slice(at + 1) });
  const image = readImage(services.postfix!);
  const relayPort = await freePort();
  const mta = await startPostfix(server.ports.lmtp!, {
    image: {
      mainCf: readFileSync(join(image.folder, "main.cf"), "utf8"),
      command: commandOf(image),
      env: {
        ...services.postfix!.environment,
        LMTP: `inet:127.0.0.1:${server.ports.lmtp}`,
        RELAY_PORT: String(relayPort),
      },
    },
  });
  try {
    await steps.step("mail to the domain reaches its reader by Postfix's settings and command", async () => {
      const reply = await sendBySmtp(mta.port, ADA);
      assert(reply.startsWith("250"), reply);
      await until("the mail", async () => {
        const client = await connectImap(server.ports.imap!, ADA, PASSWORD);
        const answer = await client.command("SELECT INBOX");
        client.end();
        return answer.includes("* 1 EXISTS");
      });
    });
    await steps.step(
      "an unknown user is refused while the sender is there; another domain is no business of ours",
      async () => {
        const unknown = await sendBySmtp(mta.port, "nobody@example.org");
        assert(/^550 /.test(unknown), unknown);
        const elsewhere = await sendBySmtp(mta.port, "ada@example.net");
        assert(/^[45]5\d .*Relay access denied/.test(elsewhere), elsewhere);
      },
    );
    await steps.step("what Restante sends elsewhere is taken by the port that is its own", async () => {
      const reply = await sendBySmtp(relayPort, "ada@example.net");
      assert(reply.startsWith("250"), reply);
    });
  } finally {
    await mta.stop();
    await server.stop();
    await removeDataFolder(data);
  }
}

/** The image's command, with its script where it lies here. */
function commandOf({ command: words, folder }: Image): readonly [string, ...string[]] {
  const [program, ...args] = words.map((word) =>
    word === "/usr/local/bin/start-postfix" ? join(folder, "start.sh") : word,
  );
  return [program!, ...args];
}

/** The answer to the mail, or to the recipient if that was refused. */
async function sendBySmtp(port: number, to: string): Promise<string> {
  const client = await LineClient.connect(port);
  const reply = async (): Promise<string> => (await client.until(/^\d{3} .*\r\n/m)).trim().split("\r\n").at(-1)!;
  await reply();
  let answer = "";
  for (const line of [
    "EHLO client.example",
    "MAIL FROM:<sender@example.net>",
    `RCPT TO:<${to}>`,
    "DATA",
    "Subject: x\r\n\r\nx\r\n.",
  ]) {
    client.send(`${line}\r\n`);
    answer = await reply();
    if (/^[45]/.test(answer)) break;
  }
  client.end();
  return answer;
}
