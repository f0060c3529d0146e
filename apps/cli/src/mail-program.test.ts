import { readConfig } from "@restante/host";
import { expect, test } from "vitest";
import { listenersOf } from "./listeners.ts";
import { mailProgramLines } from "./mail-program.ts";

const lines = (env: Readonly<Record<string, string>>): readonly string[] =>
  mailProgramLines(readConfig("/dev/null", env), "ada@example.org");

test("what to type into a mail program is what the settings listen on, TLS from the start before STARTTLS", () => {
  const told = lines({
    RESTANTE_SERVER_ORIGIN: "https://mail.example.org",
    RESTANTE_IMAP_LISTEN: "[::]:143",
    RESTANTE_IMAPS_LISTEN: "[::]:993",
    RESTANTE_SUBMISSIONS_LISTEN: "",
    RESTANTE_SUBMISSION_LISTEN: "[::]:587",
  });
  expect(told.filter((line) => line.startsWith("  "))).toEqual([
    "  server mail.example.org, port 993, security SSL/TLS",
    "  server mail.example.org, port 143, security STARTTLS",
    expect.stringContaining("user name ada@example.org"),
    "  server mail.example.org, port 587, security STARTTLS",
  ]);
});

test("where the server has no name it is told that one is missing, and what is off is not told", () => {
  expect(lines({ RESTANTE_IMAP_LISTEN: "", RESTANTE_IMAPS_LISTEN: "0.0.0.0:993" }).join()).toContain(
    "server THIS MACHINE'S NAME, port 993",
  );
  expect(lines({ RESTANTE_IMAP_LISTEN: "", RESTANTE_IMAPS_LISTEN: "unix:/run/imaps" })).toEqual([]);
  expect(lines({ RESTANTE_SUBMISSIONS_LISTEN: "", RESTANTE_SUBMISSION_LISTEN: "" }).join()).toContain(
    "the server that you send by",
  );
});

test("each setting that listens is known to who looks at listeners", () => {
  const config = readConfig("/dev/null", {});
  const listening = Object.entries(config).flatMap(([section, keys]) =>
    typeof keys === "object" && "listen" in keys ? [`${section}.listen`] : [],
  );
  const all = Object.fromEntries(
    listening.map((name) => [`RESTANTE_${name.replace(".", "_").toUpperCase()}`, "127.0.0.1:0"]),
  );
  expect(
    listenersOf(readConfig("/dev/null", all))
      .map(({ setting }) => setting)
      .sort(),
  ).toEqual(listening.sort());
  const acme = readConfig("/dev/null", { RESTANTE_TLS_ACME: "a@example.org" });
  expect(listenersOf(acme)).toContainEqual({ setting: "tls.acme_http", address: "[::]:80" });
});
