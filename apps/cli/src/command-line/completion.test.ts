import { spawnSync } from "node:child_process";
import { expect, test, vi } from "vitest";
import { table } from "../commands.ts";
import { printCompletion } from "./completion.ts";
import { manualPage } from "./manual.ts";

async function completion(shell: string): Promise<string> {
  const out = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    await printCompletion(shell, table);
    return out.mock.calls.map(([text]) => String(text)).join("");
  } finally {
    out.mockRestore();
  }
}

/** Words that bash offers after these. */
function offered(script: string, words: readonly string[]): string[] {
  const line = `COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _restante; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", `${script}\n${line}`, "bash", "restante", ...words], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((word) => word !== "");
}

test("bash offers commands, then words of a group, then the flags of the command", async () => {
  const script = await completion("bash");
  expect(offered(script, ["s"])).toEqual(["serve", "setup", "store"]);
  expect(offered(script, ["account", "re"])).toEqual(["recover"]);
  expect(offered(script, ["--config", "x.toml", "account", "r"])).toEqual(["recover", "rotate"]);
  expect(offered(script, ["check", "ada@example.org", "--re"])).toEqual(["--repair", "--retry"]);
  expect(offered(script, ["serve", "--re"])).toEqual([]);
  expect(offered(script, ["account", "delete", "--"])).toEqual(["--yes", "--json", "--config"]);
});

test.each(["bash", "zsh", "fish"])("the completion for %s names every command and flag", async (shell) => {
  const script = await completion(shell);
  for (const { name, flags } of table.commands) {
    expect(script).toContain(name.split(" ").at(-1));
    for (const key of Object.keys(flags))
      expect(script).toContain(key.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`));
  }
});

test("the manual has every command, and no line that roff takes for a request of its own", () => {
  const page = manualPage(table);
  for (const { name } of table.commands) expect(page).toContain(`restante ${name.replaceAll("-", "\\-")}`);
  expect(page.match(/^\.(?!TH|SH|B |TP|RS|RE)/gm)).toBeNull();
});
