import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DEMO } from "../kit/server.ts";
import { assert, command, type Interop, need, temporaryFolder, withServer } from "./harness.ts";

const CLIENT = String.raw`
use strict; use warnings; use Mail::IMAPClient;
my ($port, $user, $password) = @ARGV;
my $imap = Mail::IMAPClient->new(Server => "127.0.0.1", Port => $port, User => $user, Password => $password, Uid => 1, Compress => 1)
  or die "no connection: $@";
sub ok { my ($what, $is) = @_; print(($is ? "ok" : "not ok: " . ($imap->LastError // "")), " $what\n"); }
ok("folders", scalar(grep { $_ eq "Archive" } $imap->folders));
ok("create", $imap->create("Perl/Sub"));
my $uid = $imap->append_string("Perl/Sub", "From: Ada <ada\@example.org>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n", "\\Seen work");
ok("append gives the uid", $uid =~ /^\d+$/);
ok("select", $imap->select("Perl/Sub"));
ok("search", join(",", $imap->search(qw(KEYWORD work SEEN))) eq $uid);
my $env = $imap->get_envelope($uid);
ok("envelope", $env && $env->from_addresses =~ /ada\@example\.org/);
my $structure = $imap->get_bodystructure($uid);
ok("structure", $structure && lc($structure->bodytype) eq "text");
my $hash = $imap->fetch_hash("FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY[HEADER.FIELDS (SUBJECT)]");
ok("fetch_hash", $hash->{$uid}{"RFC822.SIZE"} > 50 && $hash->{$uid}{FLAGS} =~ /work/);
ok("text", $imap->body_string($uid) eq "hello\r\n");
ok("flags", $imap->set_flag("Flagged", $uid) && $imap->unset_flag("Seen", $uid));
ok("sort", join(",", $imap->sort("REVERSE DATE", "UTF-8", "ALL")) eq $uid);
ok("thread", ref($imap->thread("REFERENCES", "UTF-8", "ALL")) eq "ARRAY");
my $idle = $imap->idle; my @told = $imap->done($idle);
ok("idle", @told > 0);
ok("copy", $imap->copy("Archive", $uid) =~ /^\d+$/);
ok("move", $imap->move("Trash", $uid) && $imap->expunge);
ok("message_count", $imap->message_count("Archive") == 1);
ok("quota root", defined $imap->getquotaroot("INBOX"));
ok("rename", $imap->rename("Perl/Sub", "Perl/Other"));
ok("delete", $imap->delete("Perl/Other"));
ok("logout", $imap->logout);
`;

const TALK = String.raw`
use strict; use warnings; use Mail::IMAPTalk;
my ($port, $user, $password) = @ARGV;
my $imap = Mail::IMAPTalk->new(Server => "127.0.0.1", Port => $port, Username => $user, Password => $password, Uid => 1)
  or die "no connection: $@";
sub ok { my ($what, $is) = @_; print(($is ? "ok" : "not ok: " . ($imap->get_last_error // "")), " $what\n"); }
$imap->set_unicode_folders(1);
ok("capability", $imap->capability()->{qresync});
ok("create", $imap->create("Gr\x{fc}\x{df}e"));
ok("list", scalar(grep { $_->[2] eq "Gr\x{fc}\x{df}e" } @{ $imap->list("", "*") }));
my $mail = "From: Ada <ada\@example.org>\r\nTo: b\@example.org, \"C, D\" <c\@example.org>\r\nSubject: one\r\nMIME-Version: 1.0\r\n" .
  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n" .
  "--b\r\nContent-Type: application/pdf; name=\"a b.pdf\"\r\nContent-Disposition: attachment; filename=\"a b.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n";
ok("append", $imap->append("INBOX", "(\\Flagged)", { Literal => $mail }));
ok("select", $imap->select("INBOX"));
my $uid = $imap->search("flagged")->[-1];
my $got = $imap->fetch($uid, "(flags envelope bodystructure rfc822.size internaldate body.peek[1])")->{$uid};
ok("flags", scalar(grep { lc eq "\\flagged" } @{ $got->{flags} }));
ok("envelope", $got->{envelope}{To} =~ /c\@example\.org/ && $got->{envelope}{Subject} eq "one");
ok("structure", $got->{bodystructure}{"MIME-Subparts"}[1]{"Content-Disposition"}{filename} eq "a b.pdf");
ok("section", $got->{body} =~ /hello/);
ok("store", $imap->store($uid, "+flags", "(\\seen \\deleted)"));
ok("status", $imap->status("INBOX", "(messages uidnext highestmodseq)")->{uidnext} > $uid);
ok("expunge", $imap->expunge());
ok("sort", $imap->sort("(subject)", "utf-8", "all"));
ok("thread", $imap->thread("references", "utf-8", "all"));
ok("namespace", $imap->namespace());
ok("metadata", $imap->setmetadata("INBOX", "/private/comment", "mine") && $imap->getmetadata("INBOX", "/private/comment"));
ok("logout", $imap->logout());
`;

/** Perl's two IMAP modules: imapsync is built on the one, a suite of tests on the other. */
export const perlImap: Interop = async (steps) => {
  need({
    "libmail-imapclient-perl": "/usr/share/perl5/Mail/IMAPClient.pm",
    "libmail-imaptalk-perl": "/usr/share/perl5/Mail/IMAPTalk.pm",
  });
  const home = await temporaryFolder("perl");
  for (const [name, script] of [
    ["Mail::IMAPClient", CLIENT],
    ["Mail::IMAPTalk", TALK],
  ] as const)
    await withServer(async ({ ports }) => {
      const file = join(home, "play.pl");
      await writeFile(file, script);
      const { code, out, err } = await command("perl", [file, String(ports.imap), DEMO.user, DEMO.password]);
      for (const line of out.trim().split("\n"))
        await steps.step(`${name}: ${line.replace(/^.*?ok:?\s*/, "")}`, () =>
          assert(line.startsWith("ok "), line + err),
        );
      await steps.step(`${name} plays to its end`, () => assert(code === 0 && /^ok logout$/m.test(out), out + err));
    });
};
