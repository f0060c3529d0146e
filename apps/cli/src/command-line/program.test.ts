import { expect, test, vi } from "vitest";
import type { Exit } from "../exit.ts";
import { defineCommand } from "./command.ts";
import { runCommandLine } from "./program.ts";

type Seen = { readonly args: readonly unknown[]; readonly flags: unknown; readonly configFile: string | undefined };

/** Arguments and flags that the command is run with, and the exit code. */
async function run(...line: string[]): Promise<{ readonly code: number; readonly seen: Seen | undefined }> {
  let seen: Seen | undefined;
  const note = async ({ args, flags, configFile }: Seen): Promise<number> => {
    seen = { args, flags, configFile };
    return 7;
  };
  const commands = [
    defineCommand({
      name: "post send",
      args: ["FROM", "[TO]"],
      flags: {
        passwordStdin: { about: "a switch", conflicts: ["only"] },
        only: { value: "NAMES", about: "a value" },
      },
      about: "send",
      run: note,
    }),
    defineCommand({ name: "copy", args: [], flags: {}, about: "copy", configless: true, run: note }),
  ];
  const out = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const err = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  try {
    return { code: await runCommandLine(line, { groups: { post: "mail" }, commands }), seen };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

test("a command gets its arguments, its flags by their own names, and the configuration file wherever that stands", async () => {
  const flags = { passwordStdin: false, only: undefined };
  expect(await run("post", "send", "ada")).toEqual({
    code: 7,
    seen: { args: ["ada", undefined], flags, configFile: undefined },
  });
  for (const line of [
    ["--config", "f", "post", "send", "ada", "bob", "--only", "x"],
    ["post", "send", "ada", "--only", "x", "bob", "--config", "f"],
  ])
    expect((await run(...line)).seen).toEqual({
      args: ["ada", "bob"],
      flags: { passwordStdin: false, only: "x" },
      configFile: "f",
    });
  expect((await run("post", "send", "--password-stdin", "--", "-ada")).seen).toMatchObject({
    args: ["-ada", undefined],
    flags: { passwordStdin: true },
  });
});

test.each([
  ["a flag of no row", ["copy", "--only", "x"]],
  ["an argument too many", ["copy", "x"]],
  ["an argument too few", ["post", "send"]],
  ["a flag without its value", ["post", "send", "ada", "--only"]],
  ["flags that exclude each other", ["post", "send", "ada", "--only", "x", "--password-stdin"]],
  ["a command of no row", ["paste"]],
  ["a group's word of no row", ["post", "paste"]],
  ["a configuration for who reads none", ["--config", "f", "copy"]],
])("%s is a mistake of usage, and nothing is run", async (_, line) => {
  await expect(run(...line)).rejects.toThrow(expect.objectContaining({ name: "Exit", code: 2 }) as Exit);
});

test("help and the version end well; a line without a command shows help and does not", async () => {
  for (const line of [["--help"], ["--version"], ["post", "send", "--help"], ["help", "copy"]])
    expect(await run(...line)).toEqual({ code: 0, seen: undefined });
  for (const line of [[], ["post"]]) expect(await run(...line)).toEqual({ code: 2, seen: undefined });
});
