import { once } from "node:events";
import type { connect as connectTo } from "node:net";
import { signUp } from "@restante/engine";
import { type Context, readPepper } from "./context.ts";

export const DEMO_ADDRESS = "demo@example.org";
export const DEMO_PASSWORD = "restante-demo";

export async function makeDemoAccount(context: Context): Promise<void> {
  await signUp({ ...context, pepper: await readPepper(context.config) }, DEMO_ADDRESS, DEMO_PASSWORD);
}

/** Delivers a few mails of several kinds to the demo account, through LMTP as any mail comes. */
export async function sendDemoMails(connect: typeof connectTo, address: string | undefined): Promise<void> {
  const match = /^(?:\[(.+)\]|(.+)):(\d+)$/.exec(address ?? "");
  if (!match) return;
  const socket = connect({ host: match[1] ?? match[2]!, port: Number(match[3]) });
  socket.setEncoding("latin1");
  let received = "";
  socket.on("data", (chunk: string) => {
    received += chunk;
  });
  const reply = async (): Promise<void> => {
    for (;;) {
      const line = /^\d{3} .*\r\n/m.exec(received);
      if (line) {
        if (!/^[23]/.test(line[0])) throw new Error(`demo mail was refused: ${line[0].trim()}`);
        received = received.slice(line.index + line[0].length);
        return;
      }
      await once(socket, "data");
    }
  };
  await reply();
  for (const command of ["LHLO localhost"]) {
    socket.write(`${command}\r\n`);
    await reply();
  }
  for (const mail of MAILS) {
    for (const command of ["MAIL FROM:<welcome@example.org>", `RCPT TO:<${DEMO_ADDRESS}>`, "DATA"]) {
      socket.write(`${command}\r\n`);
      await reply();
    }
    socket.write(`${mail.replace(/\r?\n/g, "\r\n").replace(/^\./gm, "..")}\r\n.\r\n`);
    await reply();
  }
  socket.end("QUIT\r\n");
}

const date = (minutesAgo: number): string =>
  new Date(Date.now() - minutesAgo * 60_000).toUTCString().replace("GMT", "+0000");

const MAILS: readonly string[] = [
  `From: Restante <welcome@example.org>
To: <${DEMO_ADDRESS}>
Subject: Welcome
Message-ID: <welcome@demo.example.org>
Date: ${date(30)}
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

This mail was sealed with your key as it arrived, and opened when you signed in.
Nothing in the store can be read without your password or your recovery code.
`,
  `From: =?utf-8?Q?J=C3=BCrgen_Gr=C3=BCn?= <juergen@example.org>
To: <${DEMO_ADDRESS}>
Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=
Message-ID: <gruesse@demo.example.org>
Date: ${date(20)}
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="demo-alternative"

--demo-alternative
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Sch=C3=B6ne Gr=C3=BC=C3=9Fe vom Rhein.
--demo-alternative
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>Sch=C3=B6ne <b>Gr=C3=BC=C3=9Fe</b> vom Rhein.</p>
--demo-alternative--
`,
  `From: Ada <ada@example.org>
To: <${DEMO_ADDRESS}>
Subject: Re: Welcome
Message-ID: <reply@demo.example.org>
In-Reply-To: <welcome@demo.example.org>
References: <welcome@demo.example.org>
Date: ${date(10)}
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="demo-mixed"

--demo-mixed
Content-Type: text/plain; charset=us-ascii

The list you asked for is attached.
--demo-mixed
Content-Type: text/csv; name="list.csv"
Content-Disposition: attachment; filename="list.csv"
Content-Transfer-Encoding: base64

bmFtZSxudW1iZXIKYXBwbGVzLDMKcGVhcnMsNQo=
--demo-mixed--
`,
];
