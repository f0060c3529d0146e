import { afterAll, beforeAll, expect, test } from "vitest";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

/** The ways in, as their owner changes them beside a running server. */
const ADA = "ada@example.org";
const PASSWORD = "a long sesame of words";

let data: string;
let server: RunningServer;
beforeAll(async () => {
  data = await makeDataFolder();
  server = await startServer(data);
  expect(await restante(data, ["account", "add", ADA, "--password-stdin"], `${PASSWORD}\n`)).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await server.stop();
  await removeDataFolder(data);
});

const asAda = (args: readonly string[]) => restante(data, [...args, "--password-stdin"], `${PASSWORD}\n`);
const signIn = (password: string) => connectImap(server.ports.imap!, ADA, `"${password}"`);

test("an app password signs a program in until it is revoked, and then at once no more", async () => {
  const made = await asAda(["app-password", "add", ADA, "Phone", "--json"]);
  expect(made).toMatchObject({ code: 0, err: "" });
  const { id, appPassword } = JSON.parse(made.out) as { readonly id: string; readonly appPassword: string };
  expect(await asAda(["app-password", "add", ADA, "Phone"])).toMatchObject({
    code: 1,
    err: expect.stringContaining("exists"),
  });
  const phone = await signIn(appPassword);
  expect(await phone.command("CREATE Phone")).toMatch(/^\w+ OK /m);
  expect(await asAda(["app-password", "list", ADA])).toMatchObject({
    code: 0,
    out: expect.stringMatching(new RegExp(`^${id}  \\d{4}-\\d\\d-\\d\\d  Phone\\n$`)),
  });
  // An app password is for reading mail: it changes no password and makes none.
  for (const args of [
    ["app-password", "add", ADA, "Other"],
    ["account", "passwd", ADA],
    ["account", "rotate", ADA],
  ])
    expect(
      await restante(data, [...args, "--password-stdin"], `${appPassword}\nsomething new and long\n`),
    ).toMatchObject({ code: 1, err: expect.stringMatching(/wrong password/) });
  const desk = await signIn(PASSWORD);
  const idling = await signIn(appPassword);
  await idling.command("SELECT INBOX");
  idling.send("i IDLE\r\n");
  await idling.until(/^\+ .*\r\n/m);
  expect(await asAda(["app-password", "revoke", ADA, "Phone"])).toMatchObject({ code: 0 });
  const told = /^\* BYE Your password was changed or revoked.*\r\n/m;
  await idling.until(told);
  phone.send("z NOOP\r\n");
  await phone.until(told);
  await expect(signIn(appPassword)).rejects.toThrow("AUTHENTICATIONFAILED");
  expect(await desk.command("NOOP")).toMatch(/^\w+ OK /m);
  for (const client of [phone, desk, idling]) client.end();
});

test("the operator reads who signed in, who was refused and who was signed out, and never a password", async () => {
  const wrong = 'no such long sesame","address":"203.0.113.9';
  const quoted = wrong.replaceAll('"', '\\"');
  await expect(connectImap(server.ports.imap!, `"ada@example.org"`, `"${quoted}"`)).rejects.toThrow();
  await expect(connectImap(server.ports.imap!, `"${quoted}"`, `"x"`)).rejects.toThrow();
  const lines = server
    .logs()
    .split("\n")
    .filter((line) => line.includes('"event":"sign-in refused"'));
  // The filter that docs/operating.md has for fail2ban.
  const banned = lines.map((line) => /"event":"sign-in refused",.*"address":"([^"\\]+)","protocol":"/.exec(line)?.[1]);
  expect(new Set(banned)).toEqual(new Set(["127.0.0.1"]));
  expect(JSON.parse(lines.at(-2)!)).toMatchObject({ user: ADA, protocol: "imap", reason: "not-permitted" });
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({ user: wrong });
  expect(server.logs()).toMatch(/"event":"session","user":"ada@example.org","protocol":"imap","address":"127.0.0.1"/);
  expect(server.logs()).toMatch(/"event":"session ended","user":"ada@example.org".*changed or revoked/);
  expect(lines.at(-2)).not.toContain("sesame");
  expect(server.logs()).not.toContain(PASSWORD);
});

test("new keys end all ways in but the password; mail that came before and after is read", async () => {
  const { appPassword } = JSON.parse((await asAda(["app-password", "add", ADA, "Tablet", "--json"])).out);
  const post = async (text: string): Promise<void> => {
    const client = await connectLmtp(server.ports.lmtp!);
    expect(await deliver(client, [ADA], text)).toEqual([expect.stringMatching(/^250/)]);
    client.end();
  };
  await post("Subject: before\r\n\r\nx");
  const rotated = await asAda(["account", "rotate", ADA, "--json"]);
  expect(rotated).toMatchObject({ code: 0, err: "" });
  await post("Subject: after\r\n\r\nx");
  await expect(signIn(appPassword)).rejects.toThrow("AUTHENTICATIONFAILED");
  const client = await signIn(PASSWORD);
  expect(await client.command("SELECT INBOX")).toMatch(/^\* 2 EXISTS/m);
  for (const subject of ["before", "after"])
    expect(await client.command(`SEARCH SUBJECT ${subject}`)).toMatch(/^\* SEARCH \d/m);
  client.end();
  const { recoveryCode } = JSON.parse(rotated.out) as { readonly recoveryCode: string };
  const recovered = await restante(
    data,
    ["account", "recover", ADA, "--password-stdin"],
    `${recoveryCode}\nanother sesame of words\n`,
  );
  expect(recovered).toMatchObject({ code: 0 });
  (await signIn("another sesame of words")).end();
});

test("a password that everybody tries first is refused, in words for who chose it", async () => {
  const refused = await restante(data, ["account", "add", "b@example.org", "--password-stdin"], "password123456\n");
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("too easily guessed") });
});
