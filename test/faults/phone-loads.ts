import { once } from "node:events";
import { Agent, request as requestHttps } from "node:https";
import { expect } from "vitest";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { decode, encode, type Node, type Tree } from "../kit/phone/wbxml.ts";

/** Loads by phones, and by mails that they ask for: rows of hostile.test.ts. */
export function phoneLoads(
  port: (name: string) => number,
  { user, password }: { readonly user: string; readonly password: string },
): Record<string, () => Promise<void>> {
  const statuses: number[] = [];
  const agent = new Agent({ rejectUnauthorized: false, keepAlive: false });
  let key = "0";
  const send = (command: string, version: string, length: number) =>
    requestHttps({
      host: "127.0.0.1",
      port: port("https"),
      agent,
      method: "POST",
      path: `/Microsoft-Server-ActiveSync?Cmd=${command}&User=a&DeviceId=hostile&DeviceType=Test`,
      auth: `${user}:${password}`,
      headers: {
        "content-length": length,
        "content-type": "application/vnd.ms-sync.wbxml",
        "ms-asprotocolversion": version,
        "x-ms-policykey": key,
      },
    });
  const ask = async (command: string, body: Uint8Array, version = "16.1"): Promise<Node | undefined> => {
    const request = send(command, version, body.length);
    request.end(body);
    const [response] = await once(request, "response");
    const pieces: Buffer[] = [];
    for await (const piece of response) pieces.push(piece);
    statuses.push(response.statusCode);
    const bytes = Buffer.concat(pieces);
    return response.statusCode === 200 && bytes.length > 0 ? decode(bytes) : undefined;
  };
  const demand = async (command: string, tree: Tree): Promise<Node> => (await ask(command, encode(tree)))!;
  const provision = async (): Promise<string> => {
    const policy = (...more: readonly Tree[]): Tree => [
      "Policies",
      ["Policy", ["PolicyType", "MS-EAS-Provisioning-WBXML"], ...more],
    ];
    const keyOf = (answer: Node): string => answer.get("Policies").get("Policy").at("PolicyKey")!;
    const device: Tree = ["Settings:DeviceInformation", ["Set", ["Model", "x"]]];
    const first = await demand("Provision", ["Provision:Provision", device, policy()]);
    const taken = policy(["PolicyKey", keyOf(first)], ["Status", "1"]);
    key = keyOf(await demand("Provision", ["Provision:Provision", taken]));
    const folders = await demand("FolderSync", ["FolderHierarchy:FolderSync", ["SyncKey", "0"]]);
    const inbox = folders.get("Changes").children.find((one) => one.at("Type") === "2")!;
    return inbox.at("ServerId")!;
  };
  const sync = (id: string, syncKey: string, ...more: readonly Tree[]): Promise<Node> =>
    demand("Sync", [
      "AirSync:Sync",
      ["Collections", ["Collection", ["SyncKey", syncKey], ["CollectionId", id], ...more]],
    ]);
  const keyOf = (answer: Node): string => answer.get("Collections").get("Collection").at("SyncKey")!;
  const wellAnswered = (): void => {
    expect(statuses.length).toBeGreaterThan(0);
    expect(statuses.filter((status) => status >= 500)).toEqual([]);
    statuses.length = 0;
  };
  const document = (...parts: readonly (readonly number[] | Uint8Array)[]): Uint8Array =>
    Buffer.concat([[3, 1, 0x6a, 0], ...parts].map((part) => Buffer.from(part)));
  const times = (count: number, octet: number): Uint8Array => new Uint8Array(count).fill(octet);
  const many = (count: number, make: (at: number) => Tree): Tree[] =>
    Array.from({ length: count }, (_, at) => make(at));

  /** mb_u_int32. */
  const multiByte = (value: number): Uint8Array => {
    const octets = [value & 0x7f];
    for (let rest = value >>> 7; rest > 0; rest >>>= 7) octets.unshift((rest & 0x7f) | 0x80);
    return Uint8Array.from(octets);
  };

  return {
    "phones: WBXML bombs, and bytes that are none": async () => {
      await provision();
      const bombs = [
        document(times(1_000_000, 0x45)),
        document([0x45], times(99_998, 0x05), [0x01]),
        document([0x45], times(200_000, 0x05), [0x01]),
        document([0x45, 0x03], times(30_000_000, 0x61), [0x00, 0x01]),
        document([0x45, 0xc3, 0x8f, 0xff, 0xff, 0xff, 0x7f]),
        document(times(500_000, 0x00)),
        document([0x01]),
        times(1_000, 0),
      ];
      for (const version of ["12.1", "16.1"])
        for (const command of ["Sync", "Ping", "ItemOperations", "SendMail", "Search"])
          for (const bomb of bombs) await ask(command, bomb, version);
      wellAnswered();
    },
    "phones: 40,000 folders, moves, terms, recipients and operations of one request": async () => {
      await provision();
      const requests: Record<string, Tree> = {
        Sync: [
          "AirSync:Sync",
          ["Collections", ...many(30_000, (n) => ["Collection", ["SyncKey", "0"], ["CollectionId", `${n}`]])],
        ],
        Ping: [
          "Ping:Ping",
          ["HeartbeatInterval", "600"],
          ["Folders", ...many(40_000, (n) => ["Folder", ["Id", `${n}`]])],
        ],
        GetItemEstimate: [
          "GetItemEstimate:GetItemEstimate",
          ["Collections", ...many(40_000, (n) => ["Collection", ["CollectionId", `${n}`]])],
        ],
        MoveItems: ["Move:MoveItems", ...many(40_000, (n) => ["Move", ["SrcMsgId", `${n}`]])],
        ItemOperations: [
          "ItemOperations:ItemOperations",
          ...many(40_000, (n) => ["Fetch", ["AirSync:ServerId", `${n}`]]),
        ],
        Search: [
          "Search:Search",
          ["Store", ["Name", "Mailbox"], ["Query", ["And", ...many(40_000, (n) => ["FreeText", `${n}`])]]],
        ],
        ResolveRecipients: ["ResolveRecipients:ResolveRecipients", ...many(40_000, (n) => ["To", `${n}`])],
      };
      for (const [command, tree] of Object.entries(requests)) await ask(command, encode(tree));
      const words = Array.from({ length: 1_000 }, (_, n) => `a${n}`);
      for (const text of [words.join(" OR "), "(".repeat(4_000), '"'.repeat(4_000), "NOT ".repeat(1_000)])
        await demand("Find", [
          "Find:Find",
          ["SearchId", "1"],
          ["ExecuteSearch", ["MailBoxSearchCriterion", ["Query", ["FreeText", text]], ["Options", ["Range", "0-9"]]]],
        ]);
      wellAnswered();
    },
    "phones: keys and ids of every wrong form": async () => {
      const inbox = await provision();
      const wrong = [
        "",
        "0",
        "x",
        "../../x",
        "a".repeat(64),
        "a".repeat(65),
        "ä",
        "__proto__",
        `${inbox}A`,
        "AAAA",
        "1:2",
      ];
      for (const one of wrong) {
        await sync(inbox, one);
        await sync(one, "0");
        await sync(inbox, keyOf(await sync(inbox, "0")), ["Commands", ["Fetch", ["ServerId", one]]]);
        await demand("FolderSync", ["FolderHierarchy:FolderSync", ["SyncKey", one]]);
        await demand("Ping", ["Ping:Ping", ["HeartbeatInterval", "60"], ["Folders", ["Folder", ["Id", `x${one}`]]]]);
        await demand("MoveItems", [
          "Move:MoveItems",
          ["Move", ["SrcMsgId", one], ["SrcFldId", inbox], ["DstFldId", one]],
        ]);
        for (const range of ["0-9", "9-0", "-", "99999999999999999999-1", one])
          await demand("ItemOperations", [
            "ItemOperations:ItemOperations",
            ["Fetch", ["Store", "Mailbox"], ["AirSyncBase:FileReference", one], ["Options", ["Range", range]]],
          ]);
      }
      wellAnswered();
    },
    "phones: mails that are bombs, in every form of body": async () => {
      const inbox = await provision();
      const html = (body: string): string => `Content-Type: text/html\r\n\r\n${body}`;
      const zone = ["BEGIN:VTIMEZONE", "TZID:X", "BEGIN:STANDARD", "DTSTART:16010101T000000", "RRULE:FREQ=SECONDLY"];
      const calendar = [
        ...["BEGIN:VCALENDAR", "METHOD:REQUEST", ...zone, "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200", "END:STANDARD"],
        ...[
          "END:VTIMEZONE",
          "BEGIN:VEVENT",
          "UID:u",
          "DTSTART;TZID=X:20260301T093000",
          "END:VEVENT",
          "END:VCALENDAR",
          "",
        ],
      ].join("\r\n");
      const levels = Array.from(
        { length: 5_000 },
        (_, n) => `Content-Type: multipart/mixed; boundary=b${n}\r\n\r\n--b${n}\r\n`,
      );
      const bombs = [
        `Content-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\n\r\n".repeat(100_000)}--b--\r\n`,
        `${levels.join("")}\r\nx\r\n`,
        html("<div>".repeat(600_000)),
        html("<b>".repeat(21_000)),
        html("</p><i></b>".repeat(200_000)),
        html(`<style>${"<blockquote".repeat(300_000)}</style><p>x`),
        html("<".repeat(2_000_000)),
        html(`<a ${"a=b ".repeat(900_000)}>x`),
        `Content-Type: text/calendar; method=REQUEST\r\n\r\n${calendar}`,
        `Content-Type: text/plain\r\n\r\n${"\0".repeat(1_000)}x`,
      ];
      const lmtp = await connectLmtp(port("lmtp"));
      for (const [at, bomb] of bombs.entries())
        await deliver(lmtp, [user], `Subject: bomb ${at}\r\nFrom: a@b.org\r\n${bomb}`);
      lmtp.end();
      const preference = (type: number): Tree => ["AirSyncBase:BodyPreference", ["Type", `${type}`]];
      const forms: readonly Tree[][] = [
        [["AirSyncBase:BodyPreference", ["Type", "1"], ["TruncationSize", "512"]]],
        [preference(1)],
        [preference(2)],
        [["MIMESupport", "2"], preference(4)],
        [["AirSyncBase:BodyPartPreference", ["Type", "2"]]],
      ];
      for (const form of forms) {
        let syncKey = keyOf(await sync(inbox, "0"));
        const told = new Set<string>();
        for (let more = true; more; ) {
          const answer = await sync(inbox, syncKey, ["WindowSize", "3"], ["Options", ...form]);
          const collection = answer.get("Collections").get("Collection");
          syncKey = keyOf(answer);
          for (const add of collection.get("Commands").children) told.add(add.get("ApplicationData").at("Subject")!);
          more = told.size < bombs.length && collection.find("MoreAvailable") !== undefined;
        }
        // Each of them, and what comes after them.
        for (const at of bombs.keys()) expect(told).toContain(`bomb ${at}`);
      }
      wellAnswered();
    },
    "phones: bodies of 36 MB that come slowly, and others of the same phone": async () => {
      await provision();
      const requests = Array.from({ length: 6 }, () => {
        const request = send("Sync", "16.1", 36_000_000);
        request.on("error", () => undefined);
        request.write(times(1_000_000, 0x61));
        return request;
      });
      const begun = Date.now();
      for (let n = 0; n < 20; n++) {
        for (const request of requests) request.write("a");
        const answer = await demand("Ping", ["Ping:Ping", ["HeartbeatInterval", "1"], ["Folders"]]);
        expect(answer.at("Status")).toBe("5");
      }
      expect(Date.now() - begun).toBeLessThan(10_000);
      for (const request of requests) request.destroy();
      wellAnswered();
    },
    "phones: mails of 25 MB that are sent, with ends of lines of any kind": async () => {
      await provision();
      const mail = Buffer.from(
        `From: ${user}\nTo: ${user}\nSubject: large\n\n${"words of a line\r".repeat(1_500_000)}`,
      );
      const content = Buffer.concat([Buffer.from([0xc3]), multiByte(mail.length), mail]);
      for (let round = 0; round < 3; round++) {
        const id = Buffer.from(`large-${round}`);
        // ComposeMail: SendMail with a ClientId and its Mime.
        await ask("SendMail", document([0x00, 0x15, 0x45, 0x51, 0x03], id, [0x00, 0x01, 0x50], content, [0x01, 0x01]));
        await ask("SendMail", mail, "12.1");
      }
      wellAnswered();
    },
  };
}
