import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { compose } from "@restante/mime";
import { Random } from "@restante/mime/fuzz-kit";
import { type Expected, randomMessage } from "@restante/mime/message-kit";
import { assert, type Interop, need } from "./harness.ts";

/** Messages written for Python to read; each line of its input is one, with what has to be found in it. */
const MESSAGES = 10_000;

const SCRIPT = `
import base64, email, email.policy, email.utils, json, sys

def raw(text):
    # Octets of UTF-8 in a header are kept one by one.
    return text.encode("utf-8", "surrogateescape").decode("utf-8")

def squeeze(text):
    return " ".join(raw(text).split())

def bare(text):
    # Python keeps the space between two encoded-words of a name, against RFC 2047 6.2.
    return "".join(raw(text).split())

def plain(text):
    # Python takes quotes and angles away that are part of a file's name.
    return bare(email.utils.unquote(squeeze(text or "")))

def leaves(part):
    if part.get_content_maintype() == "multipart":
        for inner in part.get_payload(): yield from leaves(inner)
    else:
        yield part

def check(octets, expected):
    message = email.message_from_bytes(octets, policy=email.policy.SMTPUTF8)
    for name, text in expected["texts"].items():
        found = str(message[name])
        assert squeeze(found) == squeeze(text), (name, found, text)
    for name, mailboxes in expected["addresses"].items():
        found = [[bare(a.display_name), squeeze(a.username), raw(a.domain)] for a in message[name].addresses]
        asked = [[bare(n), *(squeeze(x) for x in a.rsplit("@", 1))] for n, a in mailboxes]
        assert found == asked, (name, found, asked)
    for name, ids in expected["ids"].items():
        assert str(message[name]).split() == ["<" + i + ">" for i in ids], (name, str(message[name]), ids)
    assert message["Date"].datetime.timestamp() * 1000 == expected["dateMs"], message["Date"]
    for name in ("Bcc", "body", "v"): assert name not in message, name
    found = list(leaves(message))
    assert len(found) == len(expected["parts"]), (len(found), len(expected["parts"]))
    for part, asked in zip(found, expected["parts"]):
        assert not part.defects, part.defects
        assert part.get_content_type() == asked["type"], (part.get_content_type(), asked["type"])
        assert plain(part.get_filename()) == plain(asked["fileName"]), (part.get_filename(), asked["fileName"])
        assert part["Content-ID"] == (asked["id"] and "<" + asked["id"] + ">"), part["Content-ID"]
        content = asked["content"].encode("latin-1")
        if asked["kind"] == "message":
            # Python keeps no octets of it: what it reads is a message with this field.
            assert part.get_payload(0)["Subject"] == "original"
        else:
            assert part.get_payload(decode=True) == content, (part.get_payload(decode=True), content)
    assert not message.defects, message.defects

for line in sys.stdin:
    number, octets, expected = json.loads(line)
    try:
        check(base64.b64decode(octets), expected)
    except Exception as error:
        print(json.dumps([number, repr(error)]), flush=True)
print("end", flush=True)
`;

/** Messages that Restante writes, read by Python's email package. */
export const pythonEmail: Interop = async (steps) => {
  need({ python3: "/usr/bin/python3" });
  const seed = Date.now() % 1_000_000;
  await steps.step(`${MESSAGES} random messages read back as they were meant (seed ${seed})`, async () => {
    const random = new Random(seed);
    const child = spawn("/usr/bin/python3", ["-c", SCRIPT], { stdio: ["pipe", "pipe", "inherit"] });
    const failures: string[] = [];
    const reading = (async () => {
      for await (const line of createInterface(child.stdout)) if (line !== "end") failures.push(line);
    })();
    for (let number = 0; number < MESSAGES; number++) {
      const { octets, expected } = await write(random);
      const line = JSON.stringify([number, Buffer.from(octets).toString("base64"), expected]);
      if (!child.stdin.write(`${line}\n`)) await once(child.stdin, "drain");
    }
    child.stdin.end();
    await reading;
    assert(failures.length === 0, `${failures.length} of ${MESSAGES}, such as ${failures.slice(0, 5).join("\n")}`);
  });
};

async function write(random: Random): Promise<{ readonly octets: Uint8Array; readonly expected: Expected }> {
  const { message, utf8, eightBit, expected } = randomMessage(random);
  const composed = compose(message, {
    now: () => ({ timeMs: 0, zoneMinutes: 0 }),
    random: (bytes) => Uint8Array.from({ length: bytes }, () => random.next(256)),
    domain: "example.test",
    utf8,
    eightBit,
  });
  const pieces: Uint8Array[] = [];
  for await (const piece of composed.read()) pieces.push(piece.slice());
  return { octets: new Uint8Array(Buffer.concat(pieces)), expected };
}
