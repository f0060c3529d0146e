import { expect, test, vi } from "vitest";
import { formatToken, parseToken } from "../../crypto/index.ts";
import { HandTime, settle } from "../../testing/hand-time.ts";
import { type Ada, FIRST, quickArgon2, refused, SECOND, setUpAda } from "../../testing/ways-in-kit.ts";
import { Accounts } from "../sign-in/accounts.ts";
import { addAppPassword } from "./app-passwords.ts";
import { changePassword } from "./passwords.ts";
import { rotateAccount } from "./rotate.ts";
import { listTokens, revokeToken, TOKEN_DAYS_MAX, TOKENS_MAX } from "./tokens.ts";

const DAY_MS = 86_400_000;
const HERE = "192.0.2.1";

/** A server with a clock of its own. */
function serverOf({ tools, place }: Ada, time = new HandTime()): Accounts {
  return new Accounts({ ...tools, store: place.open(), platform: { ...tools.platform, ...time } });
}

test("a token's text gives back what it was made of; what was changed is none", () => {
  const token = { id: new Uint8Array(10).fill(1), secret: new Uint8Array(16).fill(2), address: "größe@example.org" };
  const text = formatToken(token);
  expect(text).toMatch(/^rst_[\w-]+$/);
  expect(parseToken(text)).toEqual(token);
  for (const bad of [
    "",
    "rst_",
    text.slice(0, 36),
    text.slice(4),
    `${text}=`,
    `${text} `,
    `rst_${"A".repeat(500)}`,
    "rst_////////////////////////////////////////",
  ])
    expect(parseToken(bad)).toBeUndefined();
});

test("a token lets its bearer in by one request and no slow function, and says how it came", async () => {
  const argon2id = vi.fn(quickArgon2);
  const ada = await setUpAda(argon2id);
  const first = serverOf(ada);
  const { token, entry } = await (await first.login("ada", FIRST, HERE)).addToken({
    label: " Browser ",
    scope: "mail",
  });
  expect(entry).toMatchObject({ label: "Browser", scope: "mail", expiresMs: entry.madeMs + 30 * DAY_MS });
  await first.dispose();
  for (const { bytes } of ada.place.objects.values()) expect(Buffer.from(bytes).includes("Browser")).toBe(false);
  argon2id.mockClear();
  const asked: string[] = [];
  ada.place.fault = (operation, name) => {
    if (name.includes("/slot/")) asked.push(operation);
    return undefined;
  };
  const server = serverOf(ada);
  const session = await server.loginByToken(token, HERE);
  expect([asked, argon2id.mock.calls.length]).toEqual([["get"], 0]);
  expect([session.way, session.terms]).toEqual(["token", { expiresMs: entry.expiresMs, scope: "mail" }]);
  expect(session.state.inbox.path).toBe("INBOX");
  // Open already: not even that.
  await server.loginByToken(token, HERE);
  expect(asked).toEqual(["get"]);
  await server.dispose();
});

test("a token is no password, wherever it is given as one, and nothing else is a token", async () => {
  const ada = await setUpAda();
  const server = ada.accounts();
  const { token } = await (await server.login("ada", FIRST, HERE)).addToken({ label: "a", scope: "mail" });
  await server.loginByToken(token, HERE);
  await expect(server.login("ada", token, HERE)).rejects.toMatchObject(refused);
  const parsed = parseToken(token)!;
  for (const wrong of [
    FIRST,
    formatToken({ ...parsed, secret: new Uint8Array(16) }),
    formatToken({ ...parsed, id: new Uint8Array(10) }),
    formatToken({ ...parsed, address: "nobody@example.org" }),
  ])
    await expect(server.loginByToken(wrong, HERE)).rejects.toMatchObject(refused);
  await server.dispose();
});

test("only the password makes a token; a token ends itself and no other", async () => {
  const ada = await setUpAda();
  const server = serverOf(ada);
  const owner = await server.login("ada", FIRST, HERE);
  expect(owner.way).toBe("password");
  const one = await owner.addToken({ label: "one", scope: "mail" });
  const other = await owner.addToken({ label: "other", scope: "mail" });
  const { appPassword } = await addAppPassword(ada.tools, ada.user(), FIRST, "Phone");
  const byApp = await server.login("ada", appPassword, HERE);
  const byToken = await server.loginByToken(one.token, HERE);
  expect(byApp.way).toBe("app-password");
  for (const session of [byApp, byToken]) {
    await expect(session.addToken({ label: "more", scope: "mail" })).rejects.toMatchObject(refused);
    await expect(session.endToken(other.entry.id)).rejects.toMatchObject(refused);
  }
  expect((await byToken.tokens()).map(({ label }) => label)).toEqual(["one", "other"]);
  await byToken.endToken(one.entry.id);
  expect(byToken.ended.aborted).toBe(true);
  await expect(server.loginByToken(one.token, HERE)).rejects.toMatchObject(refused);
  await owner.endToken(other.entry.id);
  await expect(owner.endToken(other.entry.id)).rejects.toMatchObject({ code: "not-found" });
  expect(await owner.tokens()).toEqual([]);
  await server.dispose();
});

test.each(["password", "keys"])("new %s: what becomes of tokens", async (what) => {
  const ada = await setUpAda();
  const server = serverOf(ada);
  const { token } = await (await server.login("ada", FIRST, HERE)).addToken({ label: "a", scope: "mail" });
  const session = await server.loginByToken(token, HERE);
  if (what === "keys") await rotateAccount(ada.tools, ada.user(), FIRST);
  else await changePassword(ada.tools, ada.user(), FIRST, SECOND);
  await expect(session.refresh()).rejects.toMatchObject(refused);
  await expect(server.loginByToken(token, HERE)).rejects.toMatchObject(refused);
  expect([...ada.place.objects.keys()].filter((name) => name.includes("slot/token-"))).toEqual([]);
  await server.dispose();
});

test("terms, labels and their number have bounds", async () => {
  const ada = await setUpAda();
  const server = serverOf(ada);
  const owner = await server.login("ada", FIRST, HERE);
  for (const wrong of [{ days: 0 }, { days: TOKEN_DAYS_MAX + 1 }, { days: 1.5 }, { days: Number.NaN }, { label: " " }])
    await expect(owner.addToken({ label: "a", scope: "mail", ...wrong })).rejects.toMatchObject({ code: "invalid" });
  for (let n = 0; n < TOKENS_MAX; n++) await owner.addToken({ label: `t${n}`, days: 365, scope: "mail" });
  await expect(owner.addToken({ label: "one more", scope: "mail" })).rejects.toMatchObject({ code: "invalid" });
  await server.dispose();
});

test("an expired token is refused, ends who came in by it, makes room, and goes with the upkeep", async () => {
  const ada = await setUpAda();
  const time = new HandTime();
  const server = serverOf(ada, time);
  const owner = await server.login("ada", FIRST, HERE);
  const { token } = await owner.addToken({ label: "short", days: 1, scope: "mail" });
  await owner.addToken({ label: "long", days: 2, scope: "mail" });
  const session = await server.loginByToken(token, HERE);
  await time.pass(DAY_MS - 1);
  await session.refresh();
  await time.pass(1);
  await expect(session.refresh()).rejects.toMatchObject(refused);
  expect(session.ended.aborted).toBe(true);
  // The account is open, and has this token's digest.
  await expect(server.loginByToken(token, HERE)).rejects.toMatchObject(refused);
  await time.pass(60 * 60_000);
  await settle();
  expect((await owner.tokens()).map(({ label }) => label)).toEqual(["long"]);
  const other = serverOf(ada, time);
  await expect(other.loginByToken(token, HERE)).rejects.toMatchObject(refused);
  await Promise.all([server.dispose(), other.dispose()]);
});

test("one that expired while nobody looked is refused by its label", async () => {
  const ada = await setUpAda();
  const time = new HandTime();
  const first = serverOf(ada, time);
  const { token } = await (await first.login("ada", FIRST, HERE)).addToken({ label: "a", days: 1, scope: "mail" });
  await first.dispose();
  await time.pass(DAY_MS);
  const server = serverOf(ada, time);
  expect([...ada.place.objects.keys()].some((name) => name.includes("slot/token-"))).toBe(true);
  await expect(server.loginByToken(token, HERE)).rejects.toMatchObject(refused);
  expect(server.openCount).toBe(0);
  await server.dispose();
});

test("one that expired opens nothing, though its object is put back", async () => {
  const ada = await setUpAda();
  const time = new HandTime();
  const server = serverOf(ada, time);
  const { token } = await (await server.login("ada", FIRST, HERE)).addToken({ label: "a", days: 1, scope: "mail" });
  const [name, { bytes }] = [...ada.place.objects].find(([key]) => key.includes("slot/token-"))!;
  await time.pass(DAY_MS + 2 * 60 * 60_000);
  expect(ada.place.objects.has(name)).toBe(false);
  ada.place.write(name, bytes);
  await expect(serverOf(ada, time).loginByToken(token, HERE)).rejects.toMatchObject(refused);
  await expect(serverOf(ada).loginByToken(token, HERE)).rejects.toMatchObject(refused);
  await server.dispose();
});

test("the owner lists and ends tokens by the command line's ways, damaged ones too", async () => {
  const ada = await setUpAda();
  const server = serverOf(ada);
  const owner = await server.login("ada", FIRST, HERE);
  const { entry } = await owner.addToken({ label: "a", scope: "mail" });
  const damaged = await owner.addToken({ label: "b", scope: "mail" });
  const name = [...ada.place.objects.keys()].find((key) => key.endsWith(damaged.entry.id))!;
  const { bytes } = ada.place.objects.get(name)!;
  ada.place.write(
    name,
    bytes.map((byte, index) => (index === bytes.length - 1 ? byte ^ 1 : byte)),
  );
  const listed = await listTokens(ada.tools, ada.user(), FIRST);
  expect(listed.map(({ label }) => label)).toEqual(["a", "(damaged)"]);
  await expect(serverOf(ada).loginByToken(damaged.token, HERE)).rejects.toMatchObject(refused);
  for (const { id } of listed) await revokeToken(ada.tools, ada.user(), FIRST, id);
  await expect(revokeToken(ada.tools, ada.user(), FIRST, entry.id)).rejects.toMatchObject({ code: "not-found" });
  await expect(listTokens(ada.tools, ada.user(), "wrong")).rejects.toMatchObject(refused);
  await server.dispose();
});
