import { hostname } from "node:os";
import type { Tls } from "@restante/host";
import { createSubmissionServer } from "@restante/submission";
import type { People } from "./people.ts";
import type { Service } from "./service.ts";
import { loggedSignIn } from "./sign-in.ts";

/** Mail from programs that speak SMTP: RFC 6409. */
export function submissionService({ context, login, gate }: People, tls: Tls): Service {
  const { config, log } = context;
  const server = createSubmissionServer({
    signIn: loggedSignIn(login, "submission", context),
    secureContext: () => tls.context,
    gate,
    sizeMax: config.outbound.size_max,
    serverName: hostname(),
    log,
  });
  return {
    listeners: [
      { name: "submission", server: server.submission, addresses: config.submission.listen },
      { name: "submissions", server: server.submissions, addresses: config.submissions.listen },
    ],
    stop: () => server.stop(),
  };
}
