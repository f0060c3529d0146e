import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Metrics } from "./metrics.ts";
import { createMetricsServer } from "./metrics-server.ts";

test("what is counted is told with its labels; a gauge is read when it is asked for", async () => {
  const metrics = new Metrics();
  let open = 1;
  metrics.gauge("open_accounts", "help", () => open);
  metrics.gauge("nothing", "help", () => undefined);
  metrics.labelled("connections", "help", "kind", () => ({ known: 2, strangers: 1 }));
  metrics.signIn("imap", "ok");
  metrics.command("imap", "FETCH", "OK", 3);
  metrics.command("imap", "FETCH", "NO", 700);
  metrics.session("imap");
  metrics.delivery(250, 5000);
  metrics.delivery(452);
  metrics.store("embedded", "get", 0.2);
  metrics.store("embedded", "get", 0.2, "unavailable");
  open = 4;
  const text = await metrics.text();
  for (const line of [
    "restante_open_accounts 4",
    'restante_connections{kind="known"} 2',
    'restante_connections{kind="strangers"} 1',
    'restante_sign_ins_total{protocol="imap",outcome="ok"} 1',
    'restante_command_seconds_bucket{le="0.005",protocol="imap",command="FETCH",outcome="OK"} 1',
    'restante_command_seconds_bucket{le="0.5",protocol="imap",command="FETCH",outcome="NO"} 0',
    'restante_command_seconds_count{protocol="imap",command="FETCH",outcome="NO"} 1',
    'restante_sessions_total{protocol="imap"} 1',
    'restante_deliveries_total{code="250"} 1',
    'restante_deliveries_total{code="452"} 1',
    "restante_delivered_bytes_sum 5000",
    'restante_store_seconds_count{store="embedded",operation="get"} 2',
    'restante_store_errors_total{store="embedded",operation="get",code="unavailable"} 1',
  ])
    expect(text.split("\n")).toContain(line);
  expect(text).not.toMatch(/^restante_nothing /m);
  for (const name of ["nodejs_eventloop_lag_p99_seconds", "process_resident_memory_bytes"])
    expect(text).toMatch(new RegExp(`^${name} `, "m"));
});

test("metrics, life and readiness are told; nothing else is", async () => {
  let trouble: string | undefined;
  const server = createMetricsServer({
    metrics: new Metrics(),
    checkReady: async () => {
      if (trouble !== undefined) throw new Error(trouble);
    },
    onError: (error) => expect(error).toBeUndefined(),
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const ask = async (path: string, method = "GET"): Promise<readonly [number, string]> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { connection: "close" } });
    return [response.status, await response.text()];
  };
  expect(await ask("/metrics?x=1")).toEqual([
    200,
    expect.stringContaining("# TYPE restante_command_seconds histogram"),
  ]);
  expect(await ask("/readyz")).toEqual([200, "ready\n"]);
  trouble = "the store is away";
  expect(await ask("/readyz")).toEqual([503, "not ready: the store is away\n"]);
  expect(await ask("/healthz")).toEqual([200, "alive\n"]);
  expect((await ask("/"))[0]).toBe(404);
  expect((await ask("/metrics", "POST"))[0]).toBe(405);
});
