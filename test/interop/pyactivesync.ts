import { join } from "node:path";
import { DEMO } from "../kit/server.ts";
import { assert, command, type Interop, need, temporaryFolder, withServer } from "./harness.ts";

const PYACTIVESYNC = "pyactivesync==0.17.0";
const INSTALL_MAX_MS = 300_000;
const RUN_MAX_MS = 300_000;

/** Each step prints its name, and what went wrong with it. */
const SCRIPT = `
import json, smtplib, sys, threading, time, traceback
sys.path.insert(0, sys.argv[1])
from email.message import EmailMessage
from pyactivesync import BodyType, Client, EmailChange, FolderType, OofState

https, lmtp, user, password = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
client = Client(f"localhost:{https}", user, password, device_id="PYACTIVESYNC01")
# The environment may name other authorities.
client._transport.session.trust_env = False
client._transport.session.verify = sys.argv[6]
keys, have = {}, {}

def mail(subject, text="text", attachment=None):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Bea <bea@example.net>", user, subject
    message.set_content(text)
    if attachment: message.add_attachment(attachment, maintype="application", subtype="octet-stream", filename="Grüße.bin")
    return message

def deliver(message):
    with smtplib.LMTP("127.0.0.1", lmtp) as server: server.send_message(message, "bea@example.net", [user])

def sync(folder):
    """All that is new; what is known is kept by its id."""
    if folder not in keys: keys[folder] = client.sync_folder(folder).sync_key
    known = have.setdefault(folder, {})
    while True:
        result = client.sync_folder(folder, keys[folder], window_size=3)
        keys[folder] = result.sync_key
        assert len(result.added) + len(result.changed) + len(result.deleted) <= 3, result
        for item in result.added:
            assert item.server_id not in known, item
            known[item.server_id] = item.fields
        for item in result.changed: known[item.server_id].update(item.fields)
        for gone in result.deleted: known.pop(gone)
        if not result.more_available: return known

def by_subject(folder, subject):
    found = [item for item, fields in sync(folder).items() if fields.get("Email.Subject") == subject]
    assert len(found) == 1, (subject, found, have[folder])
    return found[0]

def provision():
    assert int(client.provision()) > 0

def folders():
    global inbox, drafts, sent, trash
    found = {folder.type: folder.id for folder in client.list_folders()}
    inbox, drafts, sent, trash = (found[t] for t in (FolderType.INBOX, FolderType.DRAFTS, FolderType.SENT_ITEMS, FolderType.DELETED_ITEMS))

def first_sync():
    for number in range(7): deliver(mail(f"Mail {number}", f"This is mail {number}."))
    items = sync(inbox)
    new = [fields for fields in items.values() if fields["Email.Subject"].startswith("Mail ")]
    assert sorted(fields["Email.Subject"] for fields in new) == [f"Mail {n}" for n in range(7)], items
    for fields in new:
        assert fields["Email.Read"] == "0" and "bea@example.net" in fields["Email.From"], fields
    assert client.get_item_estimate(inbox, keys[inbox]) == 0
    before = keys[inbox]
    sync(inbox)
    assert keys[inbox] == before, "a Sync of nothing has another key"

def ping():
    timer = threading.Timer(1, lambda: deliver(mail("Pushed")))
    timer.start()
    began = time.monotonic()
    result = client.ping([inbox, drafts], heartbeat=60, timeout=90)
    took = time.monotonic() - began
    assert (result.status, result.changed_folder_ids) == ("2", [inbox]), result
    assert 1 <= took < 5, took
    assert client.get_item_estimate(inbox, keys[inbox]) == 1
    by_subject(inbox, "Pushed")

def flags():
    item = by_subject(inbox, "Mail 3")
    result = client.apply_email_changes(inbox, keys[inbox], [EmailChange(item, read=True, flagged=True)])
    assert result.statuses == {item: "1"}, result
    keys[inbox] = result.sync_key
    again = client.sync_folder(inbox, keys[inbox])
    assert not again.changed, again
    keys[inbox] = again.sync_key
    fetched = client.fetch_item(inbox, item)
    assert fetched.fields["Email.Read"] == "1", fetched
    result = client.apply_email_changes(inbox, keys[inbox], [EmailChange(item, flagged=False)])
    keys[inbox] = result.sync_key
    assert result.statuses == {item: "1"}, result

def fetch():
    item = by_subject(inbox, "Mail 5")
    for body_type, part in ((BodyType.PLAIN_TEXT, "This is mail 5."), (BodyType.HTML, "This is mail 5."), (BodyType.MIME, b"Subject: Mail 5")):
        fetched = client.fetch_item(inbox, item, body_type=body_type)
        assert fetched.body and fetched.body.type == body_type and part in fetched.body.data, fetched
        assert not fetched.body.truncated, fetched

def attachment():
    octets = bytes(range(256)) * 1000
    deliver(mail("With file", "See file.", octets))
    fetched = client.fetch_item(inbox, by_subject(inbox, "With file"))
    [file] = fetched.attachments
    assert file.display_name == "Grüße.bin", file
    assert client.fetch_attachment(file.file_reference) == octets

def draft():
    sync(drafts)
    made = client.create_email_draft(drafts, keys[drafts], mail("Draft", "Not ready.", b"1234"), client_id="draft-1")
    assert made.status == "1" and made.server_id, made
    again = client.create_email_draft(drafts, keys[drafts], mail("Draft", "Not ready.", b"1234"), client_id="draft-1")
    assert again.server_id == made.server_id, ("the repeat made another", made, again)
    keys[drafts] = again.sync_key
    have[drafts][made.server_id] = {}
    sync(drafts)
    assert list(have[drafts]) == [made.server_id], have[drafts]
    fetched = client.fetch_item(drafts, made.server_id)
    assert fetched.fields["Email.Subject"] == "Draft" and len(fetched.attachments) == 1, fetched

def send():
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = user, user, "Sent by hand"
    message.set_content("Grüße\\n")
    client.send_mail(message, client_id="send-1")
    end = time.monotonic() + 20
    while not any(fields.get("Email.Subject") == "Sent by hand" for fields in sync(inbox).values()):
        assert time.monotonic() < end, "never came"
        time.sleep(0.2)
    by_subject(sent, "Sent by hand")

def move():
    folder = client.create_folder("Trips").id
    assert any(one.id == folder and one.name == "Trips" for one in client.list_folders())
    sync(folder)
    item = by_subject(inbox, "Mail 1")
    moved = client.move_item(item, inbox, folder)
    assert moved and moved != item
    assert item not in sync(inbox)
    assert list(sync(folder)) == [moved]
    client.update_folder(folder, "Travels")
    assert any(one.id == folder and one.name == "Travels" for one in client.list_folders())
    client.delete_folder(folder)
    assert not any(one.id == folder for one in client.list_folders())

def delete():
    sync(trash)
    item = by_subject(inbox, "Mail 2")
    result = client.apply_email_changes(inbox, keys[inbox], [EmailChange(item, delete=True)])
    assert result.statuses == {item: "1"}, result
    keys[inbox] = result.sync_key
    have[inbox].pop(item)
    sync(inbox)
    gone = by_subject(trash, "Mail 2")
    result = client.apply_email_changes(trash, keys[trash], [EmailChange(gone, delete=True)], deletes_as_moves=False)
    keys[trash] = result.sync_key
    have[trash].pop(gone)
    assert gone not in sync(trash)

def search():
    hits = client.search_mailbox(inbox, date_received_after="2020-01-01T00:00:00.000Z", max_results=50)
    assert len(hits) == len(sync(inbox)), (len(hits), len(sync(inbox)))
    # An empty Result says that there is none.
    assert client.search_mailbox(inbox, date_received_after="2099-01-01T00:00:00.000Z") == [{}]

def find():
    result = client.find_mailbox("pushed", deep_traversal=True)
    assert [item.fields["Email.Subject"] for item in result.items] == ["Pushed"], result
    [item] = result.items
    assert item.server_id in sync(inbox) and item.collection_id == inbox, item
    assert client.find_mailbox("subject:mail", folder_id=inbox, max_results=2).total == 2
    assert client.find_mailbox("nowhere-to-be-found").items == []

def out_of_office():
    assert client.get_oof().state == OofState.DISABLED
    client.set_oof(OofState.ENABLED_SCHEDULED, start_time="2026-07-01T00:00:00.000Z", end_time="2026-07-15T00:00:00.000Z", reply_message="I am away.")
    found = client.get_oof()
    assert found.state == OofState.ENABLED_SCHEDULED, found
    assert found.start_time.startswith("2026-07-01") and found.end_time.startswith("2026-07-15"), found
    assert any(one.enabled and one.reply_message == "I am away." for one in found.messages), found
    client.set_oof(OofState.DISABLED)
    assert client.get_oof().state == OofState.DISABLED

def people():
    found = client.search_gal("nobody-of-this-name")
    assert [one.email_address for one in found] == [None], found
    assert isinstance(client.resolve_recipients(user), list)

for step in (provision, folders, first_sync, ping, flags, fetch, attachment, draft, send, move, delete, search, find, out_of_office, people):
    try:
        step()
        print(json.dumps([step.__name__, None]), flush=True)
    except Exception:
        print(json.dumps([step.__name__, traceback.format_exc()]), flush=True)
`;

/** PyPI's pyactivesync, a client of ActiveSync 16.1 that we did not write. */
export const pyactivesync: Interop = async (steps) => {
  need({ "python3-pip": "/usr/bin/pip3" });
  const target = join(await temporaryFolder("pyactivesync"), "python");
  const install = ["install", "--quiet", "--target", target, PYACTIVESYNC];
  const pip = await command("/usr/bin/pip3", install, "", INSTALL_MAX_MS);
  assert(pip.code === 0, pip.err);
  await withServer(async ({ ports, data }) => {
    const numbers = [ports.https, ports.lmtp].map(String);
    const certificate = join(data, "tls", "localhost.pem");
    const args = ["-c", SCRIPT, target, ...numbers, DEMO.user, DEMO.password, certificate];
    const { out, err } = await command("/usr/bin/python3", args, "", RUN_MAX_MS);
    const lines = out.trim().split("\n").filter(Boolean);
    assert(lines.length > 0, err);
    for (const line of lines) {
      const [name, failure] = JSON.parse(line) as [string, string | null];
      await steps.step(name.replaceAll("_", " "), () => assert(failure === null, failure ?? ""));
    }
  });
};
