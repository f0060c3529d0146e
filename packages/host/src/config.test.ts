import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readConfig } from "./config.ts";
import { isLoopbackAddress, parseListenAddress } from "./listen-address.ts";
import { temporaryFolder } from "./test-kit.ts";

function file(text: string): string {
  const path = join(temporaryFolder(), "restante.toml");
  writeFileSync(path, text);
  return path;
}

test("the environment beats the file, the file the default", () => {
  const path = file('[server]\ndata = "/from/file"\n[imap]\nlisten = ["127.0.0.1:1"]\n[lmtp.aliases]\n"a@x" = "b@x"\n');
  const config = readConfig(path, { RESTANTE_IMAP_LISTEN: "127.0.0.1:2, [::1]:3" });
  expect(config.server.data).toBe("/from/file");
  expect(config.imap.listen).toEqual(["127.0.0.1:2", "[::1]:3"]);
  expect(config.imaps.listen).toEqual(["127.0.0.1:1993"]);
  expect(config.lmtp.aliases).toEqual({ "a@x": "b@x" });
  expect(config.file).toBe(path);
});

test("a secret may lie in a file of its own", () => {
  const secret = file("hush\n");
  expect(readConfig(file(""), { RESTANTE_S3_SECRET_KEY_FILE: secret }).s3.secret_key).toBe("hush");
  expect(() => readConfig(file(""), { RESTANTE_S3_SECRET_KEY_FILE: "/nowhere/at/all" })).toThrow(
    "RESTANTE_S3_SECRET_KEY_FILE",
  );
});

test.each([
  ["[imap]\n# listen\nlisen = []\n", {}, ".toml:3: unknown key imap.lisen"],
  ["\n[impa]\n", {}, ".toml:2: unknown section [impa]"],
  ["imap = 1\n", {}, ".toml:1: [imap] is not a section"],
  ['[log]\n[lmtp]\nlisten = []\n"size_max" = "big"\n', {}, ".toml:4: lmtp.size_max is not a number"],
  ["lmtp.size_max = true\n", {}, ".toml:1: lmtp.size_max is not a number"],
  ["lmtp = { listen = [],\n size_max = true }\n", {}, ".toml:1: lmtp.size_max is not a number"],
  ["[lmtp.aliases]\na = 1\n", {}, ".toml:1: lmtp.aliases is not a table of texts"],
  ['[log]\nlevel = "loud"\n', {}, "log.level is none of"],
  ['[s3]\npath_style = "no"\n', {}, ".toml:2: s3.path_style is neither true nor false"],
  ["[imap\n", {}, ":1"],
  ["", { RESTANTE_LMTP_SIZE_MAX: "x" }, "environment: RESTANTE_LMTP_SIZE_MAX: lmtp.size_max is not a number"],
  ["", { RESTANTE_LMTP_SIZEMAX: "1" }, "RESTANTE_LMTP_SIZEMAX"],
])("%j with %j is an error that says where", (text, env, message) => {
  const path = file(text);
  expect(() => readConfig(path, env)).toThrow(message);
});

test("listen addresses", () => {
  expect(parseListenAddress("[::1]:993")).toEqual({ kind: "tcp", host: "::1", port: 993 });
  expect(parseListenAddress("unix:/run/lmtp")).toEqual({ kind: "unix", path: "/run/lmtp" });
  expect(["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/x"].map(parseListenAddress).every(isLoopbackAddress)).toBe(
    true,
  );
  expect(["0.0.0.0:1", "[::]:1", "192.0.2.1:1"].map(parseListenAddress).some(isLoopbackAddress)).toBe(false);
  for (const bad of ["127.0.0.1", ":25", "a:70000", "unix:relative"]) expect(() => parseListenAddress(bad)).toThrow();
});

test("a directory is chosen by kind, and its switches are switches", () => {
  const config = readConfig(file('[login]\nkind = "ldap"\n[ldap]\nstart_tls = true\n'), {
    RESTANTE_LDAP_BASE_DN: "dc=x",
  });
  expect([config.login.kind, config.ldap.start_tls, config.ldap.base_dn]).toEqual(["ldap", true, "dc=x"]);
  expect(() => readConfig(file(""), { RESTANTE_LDAP_START_TLS: "yes" })).toThrow("neither true nor false");
});

test("capabilities are hidden from all, and from one account", () => {
  const { imap } = readConfig(file('[imap]\nhide = ["IDLE"]\n[imap.hide_for]\n"ada@x" = "QRESYNC UIDONLY"\n'), {});
  expect(imap).toMatchObject({ hide: ["IDLE"], hide_for: { "ada@x": "QRESYNC UIDONLY" }, literals: "any" });
});
