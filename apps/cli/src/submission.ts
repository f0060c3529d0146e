import { hostname } from "node:os";
import type { Tls } from "@restante/host";
import { createSubmissionServer } from "@restante/submission";
import type { People } from "./people.ts";
import type { Service } from "./service.ts";
import { loggedSignIn } from "./sign-in.ts";
import type { Traces } from "./traces.ts";

/** Mail from programs that speak SMTP: RFC 6409. */
export function submissionService({ context, login, gate }: People, tls: Tls, traces: Traces | undefined): Service {
  const { config, log, metrics } = context;
  const server = createSubmissionServer({
    signIn: loggedSignIn(login, "submission", context),
    secureContext: () => tls.context,
    gate,
    sizeMax: config.outbound.size_max,
    recipientsMax: config.outbound.recipients_max,
    serverName: hostname(),
    traceOf: (user) => traces?.of(user, "submission"),
    log(event) {
      log(event);
      if (event.event === "submitted") metrics?.submission(250);
      else if (event.code !== undefined) metrics?.submission(event.code);
    },
  });
  return {
    listeners: [
      { name: "submission", server: server.submission, addresses: config.submission.listen },
      { name: "submissions", server: server.submissions, addresses: config.submissions.listen },
    ],
    stop: () => server.stop(),
  };
}
