import { DEMO } from "../kit/server.ts";
import { assert, command, type Interop, need, withServer } from "./harness.ts";

const SCRIPT = `
import imaplib, sys
c = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
assert c.login(sys.argv[2], sys.argv[3])[0] == "OK"
assert c.select("INBOX") == ("OK", [b"3"])
typ, data = c.search("UTF-8", "SUBJECT", '"Welcome"')
assert data == [b"1 3"], data
assert c.search(None, "NOT", "DELETED")[1] == [b"1 2 3"]
typ, data = c.append("Drafts", "(\\\\Seen \\\\Draft)", '" 1-Feb-2026 10:11:12 +0100"', b"Subject: x\\r\\n\\r\\nbody\\r\\n")
assert typ == "OK" and b"APPENDUID" in data[0], data
assert c.store("1", "+FLAGS", "(\\\\Deleted)")[0] == "OK"
assert c.expunge() == ("OK", [b"1"])
assert c.select("Drafts") == ("OK", [b"1"])
typ, data = c.fetch("1", "(FLAGS INTERNALDATE BODY[HEADER.FIELDS (SUBJECT)])")
text = b" ".join(x if isinstance(x, bytes) else b" ".join(x) for x in data)
assert b'" 1-Feb-2026 10:11:12 +0100"' in text and b"Subject: x" in text and b"\\\\Draft" in text, text
assert c.create("a/b")[0] == "OK" and c.rename("a", "c")[0] == "OK"
assert any(b"c/b" in x for x in c.list()[1])
assert c.status("c/b", "(MESSAGES UIDNEXT UIDVALIDITY)")[0] == "OK"
assert c.close()[0] == "OK" and c.logout()[0] == "BYE"
print("well")
`;

/** Python's imaplib, command by command. */
export const imaplib: Interop = async (steps) => {
  need({ python3: "/usr/bin/python3" });
  await withServer(async ({ ports }) => {
    await steps.step("selects, searches, appends, stores, expunges, renames", async () => {
      const { out, err } = await command("/usr/bin/python3", [
        "-c",
        SCRIPT,
        String(ports.imap),
        DEMO.user,
        DEMO.password,
      ]);
      assert(out.trim() === "well", err);
    });
  });
};
