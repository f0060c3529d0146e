import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { startGarage } from "../stores/garage.ts";
import { storeEnvironment } from "../stores/store-server.ts";
import { assert, type Interop } from "./harness.ts";
import { settings } from "./ldap.ts";
import { type Entry, startSlapd } from "./slapd.ts";
import { keysIn, signed } from "./stores.ts";

const PASSWORD = "first-Password-1";
const OBJECT = /^([0-9a-f]{32})\/(body|note|page|pack)\//;

/** Some people have a bucket of their own, with its key, in the directory: a real slapd, a real Garage. */
export const ownBuckets: Interop = async (steps) => {
  await using store = await startGarage("tcp");
  const key = await store.makeBucket("mail-of-ada");
  const own = { restanteBucket: "mail-of-ada", restanteAccessKey: key.accessKey, restanteSecretKey: key.secretKey };
  const ada: Entry = { uid: "ada", mails: ["ada@example.org"], password: PASSWORD, more: own };
  const bob: Entry = { uid: "bob", mails: ["bob@example.org"], password: PASSWORD };
  const slapd = await startSlapd([ada, bob]);
  const data = await makeDataFolder();
  const env = {
    ...storeEnvironment(store),
    ...settings(slapd, slapd.secureUrl),
    RESTANTE_STORAGE_LOG_KIND: "embedded",
    RESTANTE_LDAP_BUCKET_ATTRIBUTE: "restanteBucket",
    RESTANTE_LDAP_ACCESS_KEY_ATTRIBUTE: "restanteAccessKey",
    RESTANTE_LDAP_SECRET_KEY_ATTRIBUTE: "restanteSecretKey",
  };
  const accountsIn = async (bucket: string, by = store.key): Promise<Set<string>> => {
    const { status, body } = await signed({ ...store, bucket }, by, "/?list-type=2");
    assert(status === 200, `${status} ${body}`);
    return new Set(keysIn(body).flatMap((name) => OBJECT.exec(name)?.[1] ?? []));
  };
  const read = async (port: number, { uid }: Entry): Promise<string> => {
    const client = await connectImap(port, uid, PASSWORD);
    await client.command("SELECT INBOX");
    const answer = await client.command("FETCH 1:* BODY.PEEK[TEXT]");
    client.end();
    return answer;
  };
  let server = await startServer(data, { env });
  try {
    await steps.step("mail for who has a bucket goes there, for others into the common one", async () => {
      for (const { uid } of [ada, bob]) (await connectImap(server.ports.imap!, uid, PASSWORD)).end();
      const lmtp = await connectLmtp(server.ports.lmtp!);
      for (const { mails } of [ada, bob])
        for (const lines of [3, 20_000]) {
          const [reply] = await deliver(
            lmtp,
            mails,
            `Subject: x\r\n\r\n${`to ${mails[0]} as it is\r\n`.repeat(lines)}`,
          );
          assert(reply?.startsWith("250"), `${reply} ${server.logs()}`);
        }
      lmtp.end();
      const [theirs, common] = [await accountsIn("mail-of-ada", key), await accountsIn("mail")];
      assert(theirs.size === 1 && common.size === 1, `${[...theirs]} and ${[...common]}`);
      assert(![...theirs].some((account) => common.has(account)), "one account lies in both");
    });
    await steps.step("it is read from there, also by a server that was started anew", async () => {
      for (const again of [false, true]) {
        if (again) {
          await server.stop();
          server = await startServer(data, { env });
        }
        for (const { uid, mails } of [ada, bob]) {
          const answer = await read(server.ports.imap!, { uid, mails, password: PASSWORD });
          assert(answer.split(`to ${mails[0]} as it is`).length === 20_004, `${uid}: ${answer.slice(0, 500)}`);
        }
      }
    });
    await steps.step("the key of one bucket opens no other, and is not needed for it", async () => {
      assert((await signed({ ...store, bucket: "mail" }, key, "/?list-type=2")).status === 403, "ada's key lists mail");
      const { status } = await signed({ ...store, bucket: "mail-of-ada" }, store.key, "/?list-type=2");
      assert(status === 403, `the common key lists ada's bucket: ${status}`);
    });
    await steps.step("the command line finds each account in its bucket", async () => {
      for (const { mails } of [ada, bob]) {
        const checked = await restante(data, ["check", mails[0]!, "--password-stdin"], `${PASSWORD}\n`, env);
        assert(checked.code === 0 && /^2 messages/.test(checked.out), `${checked.out} ${checked.err}`);
      }
    });
  } finally {
    await server.stop();
    await slapd.stop();
    await removeDataFolder(data);
  }
};
