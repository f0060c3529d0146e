import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CODE_PAGES, type CodePage, decode, type Element, encode, type PageTag } from "wbxml";
import { assert, command, type Interop, need, temporaryFolder } from "./harness.ts";

const PYACTIVESYNC = "pyactivesync==0.17.0";
const INSTALL_MAX_MS = 300_000;

/** Each line of its input is a document in hex; each of its output what pyactivesync reads, and writes of that again. */
const SCRIPT = `
import json, sys
sys.path.insert(0, sys.argv[1])
from pyactivesync._wbxml import WBXMLReader, WBXMLWriter, wtag

def build(node):
    path, _, children = node
    page, name = path.split(".", 1)
    texts = [c[1] for c in children if c[0] == "#text"]
    return wtag(page, name, [build(c) for c in children if not c[0].startswith("#")], text=texts[0] if texts else None)

for line in sys.stdin:
    [root] = WBXMLReader(bytes.fromhex(line)).parse()
    known = [c for c in root[2] if ".0x" not in c[0]]
    writer = WBXMLWriter()
    if ".0x" not in root[0] and not root[0].startswith("page"):
        build((root[0], None, known))(writer)
    print(json.dumps({"names": [c[0] for c in root[2]], "written": writer.render().hex()}))
`;

/** Names that others write in another way: see the note on names in the package's README. */
const plain = (name: string): string => name.toLowerCase();

/** Tags that libwbxml 0.11.8 names otherwise, by slips of its own or by older names. */
const LIBWBXML_NAMES: Readonly<Record<string, string>> = {
  "Contacts:AssistantPhoneNumber": "AssistantTelephoneNumber",
  "Contacts:BusinessAddressCity": "BusinessCity",
  "Contacts:BusinessAddressCountry": "BusinessCountry",
  "Contacts:BusinessAddressPostalCode": "BusinessPostalCode",
  "Contacts:BusinessAddressState": "BusinessState",
  "Contacts:BusinessAddressStreet": "BusinessStreet",
  "Contacts:HomeAddressCity": "HomeCity",
  "Contacts:HomeAddressCountry": "HomeCountry",
  "Contacts:HomeAddressPostalCode": "HomePostalCode",
  "Contacts:HomeAddressState": "HomeState",
  "Contacts:HomeAddressStreet": "HomeStreet",
  "Contacts:OtherAddressCity": "OtherCity",
  "Contacts:OtherAddressCountry": "OtherCountry",
  "Contacts:OtherAddressPostalCode": "OtherPostalCode",
  "Contacts:OtherAddressState": "OtherState",
  "Contacts:OtherAddressStreet": "OtherStreet",
  "Email:ReplyTo": "Reply",
  "Email:Type": "Recurrence_Type",
  "Email:Until": "Recurrence_Until",
  "Email:Occurrences": "Recurrence_Occurrences",
  "Email:Interval": "Recurrence_Interval",
  "Email:DayOfWeek": "Recurrence_DayOfWeek",
  "Email:DayOfMonth": "Recurrence_DayOfMonth",
  "Email:WeekOfMonth": "Recurrence_WeekOfMonth",
  "Email:MonthOfYear": "Recurrence_MonthOfYear",
  "Email:Status": "FlagStatus",
  "Calendar:Email": "Attendee_Email",
  "Calendar:Name": "Attendee_Name",
  "Calendar:Deleted": "Exception_Deleted",
  "Calendar:ExceptionStartTime": "Exception_StartTime",
  "Calendar:OrganizerEmail": "Organizer_Email",
  "Calendar:OrganizerName": "Organizer_Name",
  "Calendar:Type": "Recurrence_Type",
  "Calendar:Until": "Recurrence_Until",
  "Calendar:Occurrences": "Recurrence_Occurrences",
  "Calendar:Interval": "Recurrence_Interval",
  "Calendar:DayOfWeek": "Recurrence_DayOfWeek",
  "Calendar:DayOfMonth": "Recurrence_DayOfMonth",
  "Calendar:WeekOfMonth": "Recurrence_WeekOfMonth",
  "Calendar:MonthOfYear": "Recurrence_MonthOfYear",
  "Calendar:AttendeeStatus": "Attendee_Status",
  "Calendar:AttendeeType": "Attendee_Type",
  "Tasks:Type": "Recurrence_Type",
  "Tasks:Start": "Recurrence_Start",
  "Tasks:Until": "Recurrence_Until",
  "Tasks:Occurrences": "Recurrence_Occurrences",
  "Tasks:Interval": "Recurrence_Interval",
  "Tasks:DayOfMonth": "Recurrence_DayOfMonth",
  "Tasks:DayOfWeek": "Recurrence_DayOfWeek",
  "Tasks:WeekOfMonth": "Recurrence_WeekOfMonth",
  "Tasks:MonthOfYear": "Recurrence_MonthOfYear",
  "Tasks:Regenerate": "Recurrence_Regenerate",
  "Tasks:DeadOccur": "Recurrence_DeadOccur",
  "Provision:RequireStorageCardEncryption": "DeviceEncryptionEnabled",
  "Settings:RightsManagementInformation": "ihsManagementInformation",
  "ComposeMail:Name": "ForwardeeName",
  "ComposeMail:Email": "ForwardeeEmail",
  "RightsManagement:Owner": "RMOwner",
  "RightsManagement:RemoveRightsManagementProtection": "RemoveRightsManagementDistribution",
};

/** A document with all tags of a page, each with its token as text. */
function pageDocument({ tags }: CodePage, isKnown: (tag: PageTag) => boolean = () => true): Element {
  const empty = { children: [], content: null, isOpaque: false, offset: 0 };
  const children = tags
    .filter(isKnown)
    .map(({ name, token, isOpaque }) => ({ ...empty, tag: name, content: isOpaque ? null : `t${token}` }));
  return { ...empty, tag: tags[0]!.name, children };
}

/** Our tables and bytes, read by Debian's libwbxml (up to 16.0) and by PyPI's pyactivesync (16.1). */
export const wbxml: Interop = async (steps) => {
  need({ "libwbxml2-utils": "/usr/bin/wbxml2xml", "python3-pip": "/usr/bin/pip3" });
  const folder = await temporaryFolder("wbxml");

  await steps.step("libwbxml reads all pages up to 16.0 as they are meant", async () => {
    const different: string[] = [];
    for (const page of CODE_PAGES) {
      const known = page.tags.filter(({ since, isOld }) => since !== "16.1" && !isOld);
      if (known.length === 0) continue;
      const [ours, xml] = ["ours.wbxml", "page.xml"].map((name) => join(folder, name));
      await writeFile(ours!, encode(pageDocument(page, (tag) => known.includes(tag))));
      const read = await command("/usr/bin/wbxml2xml", ["-l", "ACTIVESYNC", "-m", "0", "-o", xml!, ours!]);
      assert(read.code === 0, read.out + read.err);
      const names = [...(await readFile(xml!, "utf8")).matchAll(/<(\w+)/g)].map(([, name]) => name!).slice(1);
      assert(names.length === known.length, `page ${page.number}: ${names.length} of ${known.length} tags`);
      for (const [at, { name }] of known.entries())
        if (plain(names[at]!) !== plain(name.split(":")[1]!) && LIBWBXML_NAMES[name] !== names[at])
          different.push(`"${name}": "${names[at]}",`);
    }
    assert(different.length === 0, different.join("\n"));
  });

  await steps.step("libwbxml writes the same bytes", async () => {
    const sent = "03016a00000756520330000101";
    const [ours, xml, theirs] = ["ours.wbxml", "sync.xml", "theirs.wbxml"].map((name) => join(folder, name));
    await writeFile(ours!, encode(decode(Buffer.from(sent, "hex"))));
    await command("/usr/bin/wbxml2xml", ["-l", "ACTIVESYNC", "-m", "0", "-o", xml!, ours!]);
    await command("/usr/bin/xml2wbxml", ["-n", "-a", "-v", "1.3", "-o", theirs!, xml!]);
    assert((await readFile(theirs!)).toString("hex") === sent, "other bytes");
  });

  await steps.step("pyactivesync reads all pages as they are meant, and what it writes is read", async () => {
    const target = join(folder, "python");
    const pip = await command(
      "/usr/bin/pip3",
      ["install", "--quiet", "--target", target, PYACTIVESYNC],
      "",
      INSTALL_MAX_MS,
    );
    assert(pip.code === 0, pip.err);
    const input = CODE_PAGES.map((page) => `${Buffer.from(encode(pageDocument(page))).toString("hex")}\n`).join("");
    const { out, err } = await command("/usr/bin/python3", ["-c", SCRIPT, target], input);
    const lines = out.trim().split("\n");
    assert(lines.length === CODE_PAGES.length, err);
    let compared = 0;
    const different: string[] = [];
    for (const [number, page] of CODE_PAGES.entries()) {
      const { names, written } = JSON.parse(lines[number]!) as { names: string[]; written: string };
      for (const [at, { name }] of page.tags.entries()) {
        const theirs = names[at]!.split(".")[1]!;
        if (theirs.startsWith("0x")) continue;
        compared++;
        if (plain(theirs) !== plain(name.split(":")[1]!)) different.push(`${name}: ${theirs}`);
      }
      if (written.length <= 8) continue;
      const bytes = Buffer.from(written, "hex");
      assert(Buffer.compare(encode(decode(bytes)), bytes) === 0, `page ${number}: other bytes`);
    }
    assert(compared > 200, `only ${compared} tags compared`);
    assert(different.length === 0, different.join("; "));
  });
};
