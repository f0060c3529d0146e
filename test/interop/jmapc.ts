import { join } from "node:path";
import { DEMO } from "../kit/server.ts";
import { assert, command, type Interop, need, temporaryFolder, withServer } from "./harness.ts";
import { askImap } from "./jmap.ts";

const JMAPC = "jmapc==0.4.0";
const INSTALL_MAX_MS = 300_000;

/** Each step prints its name; a failure ends the program. */
const SCRIPT = `
import sys, time, threading
sys.path.insert(0, sys.argv[1])
from jmapc import Address, Client, Comparator, Email, EmailAddress, EmailBodyPart, EmailBodyValue, EmailHeader
from jmapc import EmailQueryFilterCondition, EmailQueryFilterOperator, EmailSubmission, Envelope, Event, Mailbox
from jmapc import MailboxQueryFilterCondition, Operator, Ref
from jmapc.models import EmailSubmissionQueryFilterCondition
from jmapc.methods import EmailChanges, EmailGet, EmailQuery, EmailSet, EmailSubmissionGet, EmailSubmissionQuery
from jmapc.methods import EmailSubmissionSet, IdentityGet, MailboxGet, MailboxQuery, MailboxSet, SearchSnippetGet, ThreadGet
host, user, password = sys.argv[2:5]
client = Client.create_with_password(host=host, user=user, password=password)

def ask(calls):
    return client.request(calls, raise_errors=True)

def passed(name):
    print(name, flush=True)

assert client.jmap_session.username == user, client.jmap_session
assert client.jmap_session.capabilities.core.max_objects_in_get >= 500
assert client.account_id
passed("reads the session")

boxes = {b.role: b for b in ask(MailboxGet(ids=None)).data}
assert set(boxes) >= {"inbox", "drafts", "sent", "trash", "junk", "archive"}, boxes
assert boxes["inbox"].total_emails == 3, boxes["inbox"]
found = ask([MailboxQuery(filter=MailboxQueryFilterCondition(role="inbox")), MailboxGet(ids=Ref("/ids"))])
assert found[1].response.data[0].id == boxes["inbox"].id
passed("finds mailboxes by their roles")

# Its Comparator says position, anchorOffset and calculateTotal too.
answers = ask([
    EmailQuery(
        collapse_threads=True,
        filter=EmailQueryFilterOperator(operator=Operator.AND, conditions=[
            EmailQueryFilterCondition(in_mailbox=boxes["inbox"].id),
            EmailQueryFilterOperator(operator=Operator.NOT, conditions=[EmailQueryFilterCondition(has_keyword="$flagged")]),
        ]),
        sort=[Comparator(property="receivedAt", is_ascending=False)],
        limit=10,
        calculate_total=True,
    ),
    EmailGet(ids=Ref("/ids"), properties=["threadId"]),
    ThreadGet(ids=Ref("/list/*/threadId")),
    EmailGet(ids=Ref("/list/*/emailIds"), fetch_all_body_values=True, properties=[
        "id", "threadId", "mailboxIds", "keywords", "from", "to", "subject", "receivedAt", "sentAt", "preview",
        "bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments", "hasAttachment", "headers", "messageId", "size"]),
])
assert answers[0].response.total == 2, answers[0]
mails = {m.subject: m for m in answers[3].response.data}
cologne = mails["Grüße aus Köln"]
assert cologne.received_at and cologne.body_values and cologne.mail_from[0].email, cologne
attached = next(m for m in mails.values() if m.has_attachment)
assert len(mails) == 3 and len(answers[2].response.data) == 2
passed("reads a list by references")

client.download_attachment(attached.attachments[0], sys.argv[5])
assert open(sys.argv[5], "rb").read(), "an empty attachment"
passed("downloads an attachment")

snippets = ask(SearchSnippetGet(ids=[cologne.id], filter=EmailQueryFilterCondition(text="Köln"))).data
assert "<mark>Köln</mark>" in snippets[0].subject, snippets
passed("marks what it looked for")

state = ask(EmailGet(ids=[])).state
ask(EmailSet(update={cologne.id: {"keywords/$seen": True, "keywords/work": True}}))
changes = ask(EmailChanges(since_state=state))
assert changes.updated == [cologne.id] and not changes.has_more_changes, changes
passed("sets keywords, and is told of them")

identity = ask(IdentityGet()).data[0]
assert identity.email == user and identity.may_delete is False, identity
passed("reads its identity")

seen = []
def listen():
    try:
        for event in client.events:
            seen.append(event)
    except Exception as error:
        seen.append(error)
threading.Thread(target=listen, daemon=True).start()
time.sleep(1)

answers = ask([
    EmailSet(create={"draft": Email(
        mail_from=[EmailAddress(name="Größe", email=user)],
        to=[EmailAddress(email=user)],
        subject="by jmapc",
        keywords={"$draft": True},
        mailbox_ids={boxes["drafts"].id: True},
        body_values={"body": EmailBodyValue(value="Grüße\\nvon jmapc")},
        text_body=[EmailBodyPart(part_id="body", type="text/plain")],
        headers=[EmailHeader(name="X-Tool", value="jmapc")],
    )}),
    EmailSubmissionSet(
        on_success_update_email={"#s": {
            "keywords/$draft": None,
            "mailboxIds/" + boxes["drafts"].id: None,
            "mailboxIds/" + boxes["sent"].id: True,
        }},
        create={"s": EmailSubmission(email_id="#draft", identity_id=identity.id, envelope=Envelope(
            mail_from=Address(email=user), rcpt_to=[Address(email=user)],
        ))},
    ),
])
kinds = [type(a.response).__name__ for a in answers]
assert kinds == ["EmailSetResponse", "EmailSubmissionSetResponse", "EmailSetResponse"], kinds
submission = answers[1].response.created["s"]
passed("writes and sends")

end = time.time() + 30
while not any(isinstance(e, Event) and any(c.email_delivery for c in e.data.changed.values()) for e in seen):
    assert time.time() < end, seen
    time.sleep(0.1)
passed("hears of the delivery by its event stream")

while ask(EmailSubmissionGet(ids=[submission.id])).data[0].undo_status.value != "final":
    assert time.time() < end
    time.sleep(0.1)
status = ask(EmailSubmissionGet(ids=[submission.id])).data[0].delivery_status[user]
assert status.smtp_reply.startswith("250"), status
asked = EmailSubmissionQueryFilterCondition(identity_ids=[identity.id])
assert ask(EmailSubmissionQuery(filter=asked)).ids == [submission.id]
passed("reads what came of it")

made = ask(MailboxSet(create={"a": Mailbox(name="By jmapc")}))
assert made.created["a"].id, made
passed("makes a mailbox")

error = client.request(EmailChanges(since_state="x"))
assert error.type == "cannotCalculateChanges", error
passed("is refused in JMAP's words")
`;

/** jmapc of PyPI, over HTTPS with Basic. */
export const jmapc: Interop = async (steps) => {
  need({ "python3-pip": "/usr/bin/pip3" });
  const folder = await temporaryFolder("jmapc");
  const target = join(folder, "python");
  await steps.step("installs", async () => {
    const pip = await command("/usr/bin/pip3", ["install", "--quiet", "--target", target, JMAPC], "", INSTALL_MAX_MS);
    assert(pip.code === 0, pip.err);
  });
  await withServer(async (server) => {
    const certificate = join(server.data, "tls/localhost.pem");
    const host = `localhost:${server.ports.https}`;
    const args = ["-c", SCRIPT, target, host, DEMO.user, DEMO.password, join(folder, "attachment")];
    const { code, out, err } = await command("env", [`REQUESTS_CA_BUNDLE=${certificate}`, "/usr/bin/python3", ...args]);
    for (const name of out.trim().split("\n")) await steps.step(name, () => undefined);
    await steps.step("comes to its end", () => assert(code === 0, err));
    await steps.step("IMAP shows what it wrote, sent, marked and made", async () => {
      const mail = await askImap(server, "SELECT INBOX", "FETCH * BODY.PEEK[]");
      assert(/^X-Tool: jmapc\r$/m.test(mail) && /Subject: by jmapc/.test(mail), mail);
      assert(/^\* 1 EXISTS/m.test(await askImap(server, "SELECT Sent")), "Sent has it not");
      assert(/^\* 0 EXISTS/m.test(await askImap(server, "SELECT Drafts")), "a draft is left");
      const flags = await askImap(server, "SELECT INBOX", "FETCH 2 FLAGS");
      assert(/\\Seen/.test(flags) && /\bwork\b/.test(flags), flags);
      assert((await askImap(server, 'LIST "" "By jmapc"')).includes("By jmapc"), "no mailbox");
    });
  });
};
