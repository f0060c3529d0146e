import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { explain, parseDialogue } from "./kit/phone/dialogue.ts";

const FOLDER = join(import.meta.dirname, "dialogues");
const scenes = readdirSync(FOLDER);

test.each(scenes)("%s: each line of a request means what its octets say", (scene) => {
  const documents = parseDialogue(readFileSync(join(FOLDER, scene), "utf8")).flatMap((step) =>
    step.kind === "request" && step.request.meanings.length > 0 ? [step.request] : [],
  );
  expect(documents.length).toBeGreaterThan(5);
  for (const { body, meanings, line } of documents)
    expect(meanings, `line ${line}`).toEqual(
      explain(body!)
        .map(([, meaning]) => meaning)
        .filter((meaning) => meaning !== ""),
    );
});

test("a line that is none is found", () => {
  for (const text of ["x", "03 01", "> POST\n03 0", "> POST\nzz | x", "> POST\n> no header", '> POST\n"a'])
    expect(() => parseDialogue(text), text).toThrow();
});
