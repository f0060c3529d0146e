import { createMetricsServer, endOf, type Metrics, type Tls } from "@restante/host";
import type { Context } from "./context.ts";
import type { People } from "./people.ts";
import type { Service } from "./service.ts";

/** No object is named so: whether it is there asks the store and nothing more. */
const NOTHING = "ready/none";

interface Watched {
  readonly context: Context;
  readonly metrics: Metrics;
  /** Absent where nobody signs in. */
  readonly people: People | undefined;
  readonly tls: Tls | undefined;
  /** True while all listeners are bound and none is being closed. */
  readonly isServing: () => boolean;
  /** A key that only writes can't look. */
  readonly mayRead: boolean;
}

/** `metrics.listen`: what this process counts, and whether it lives and serves. */
export function metricsService({ context, metrics, people, tls, isServing, mayRead }: Watched): Service {
  if (people) {
    const { gate, accounts } = people;
    metrics.labelled("connections", "Connections that are open, of IMAP and HTTPS", "kind", () => {
      const { connections, strangers } = gate.counts;
      return { signed_in: connections - strangers, strangers };
    });
    metrics.gauge("open_accounts", "Accounts whose keys are in memory", () => accounts.openCount);
    metrics.gauge("waiting_deliveries", "Deliveries to open accounts that are not taken in yet", () =>
      accounts.countWaitingNotes(),
    );
  }
  metrics.gauge("certificate_end_seconds", "When the certificate in force ends, in seconds since 1970", () =>
    tls?.facts ? endOf(tls.facts) / 1000 : undefined,
  );
  const checkReady = async (signal: AbortSignal): Promise<void> => {
    if (!isServing()) throw new Error("it does not listen on all of its addresses");
    if (mayRead) await Promise.race([context.store.get(NOTHING, undefined, { signal }), aborted(signal)]);
  };
  const onError = (error: unknown): void => context.log({ level: "warn", event: "metrics can't be told", error });
  const server = createMetricsServer({ metrics, checkReady, onError });
  return {
    listeners: [{ name: "metrics", server, addresses: context.config.metrics.listen }],
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("the store does not answer")), { once: true });
  });
}
