import { aerc } from "./aerc.ts";
import { chromium } from "./chromium.ts";
import { claws } from "./claws.ts";
import { compose } from "./compose.ts";
import { curl } from "./curl.ts";
import { cyrus } from "./cyrus.ts";
import { deltaChat } from "./delta-chat.ts";
import { dovecot } from "./dovecot.ts";
import { fetchmail, getmail, imapfilter } from "./fetchers.ts";
import { geary } from "./geary.ts";
import { type Interop, Steps } from "./harness.ts";
import { https } from "./https.ts";
import { idle } from "./imapflow.ts";
import { imaplib } from "./imaplib.ts";
import { jmapClientTs } from "./jmap-client-ts.ts";
import { jmapInPage } from "./jmap-in-page.ts";
import { jmapJam } from "./jmap-jam.ts";
import { jmapc } from "./jmapc.ts";
import { ldap } from "./ldap.ts";
import { mails } from "./mails.ts";
import { mbsync } from "./mbsync.ts";
import { meli } from "./meli.ts";
import { moving } from "./moving.ts";
import { mutt } from "./mutt.ts";
import { neomutt } from "./neomutt.ts";
import { newcomer } from "./newcomer.ts";
import { nginx } from "./nginx.ts";
import { offlineimap } from "./offlineimap.ts";
import { ownBuckets } from "./own-buckets.ts";
import { packages } from "./packages.ts";
import { pebble } from "./pebble.ts";
import { perlImap } from "./perl-imap.ts";
import { postfix } from "./postfix.ts";
import { pyactivesync } from "./pyactivesync.ts";
import { pythonEmail } from "./python-email.ts";
import { smarthost } from "./smarthost.ts";
import { garage, versitygw } from "./stores.ts";
import { thunderbird } from "./thunderbird.ts";
import { wbxml } from "./wbxml.ts";
import { webClient } from "./web-client.ts";

/**
 * `npm run test:interop [-- NAME…]`: programs that we did not write, against the real `restante serve`. Needs root and
 * Debian: what is missing is installed. Nothing is skipped; what can't be run fails.
 */
const PROGRAMS: Readonly<Record<string, Interop>> = {
  postfix,
  newcomer,
  smarthost,
  curl,
  dovecot,
  cyrus,
  mails,
  moving,
  mbsync,
  imapflow: idle,
  mutt,
  neomutt,
  imaplib,
  fetchmail,
  getmail,
  imapfilter,
  offlineimap,
  "perl-imap": perlImap,
  thunderbird,
  claws,
  geary,
  "python-email": pythonEmail,
  wbxml,
  "jmap-jam": jmapJam,
  "jmap-client-ts": jmapClientTs,
  jmapc,
  meli,
  aerc,
  "delta-chat": deltaChat,
  pyactivesync,
  ldap,
  versitygw,
  garage,
  buckets: ownBuckets,
  https,
  nginx,
  chromium,
  "web-client": webClient,
  "jmap-in-page": jmapInPage,
  pebble,
  packages,
  compose,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in PROGRAMS));
if (unknown.length > 0) {
  console.error(`no such program: ${unknown.join(" ")}; there are ${Object.keys(PROGRAMS).join(" ")}`);
  process.exit(2);
}
const steps = new Steps();
for (const [name, program] of Object.entries(PROGRAMS))
  if (wanted.length === 0 || wanted.includes(name)) await steps.of(name, program);
console.log(`${steps.passed} passed, ${steps.failed} failed`);
process.exit(steps.failed > 0 ? 1 : 0);
