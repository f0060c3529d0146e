import { curlOf, useDoor, withDoorApp } from "./door.ts";
import { assert, command, type Interop, need } from "./harness.ts";

/** curl at the HTTPS door, by HTTP/1.1 and HTTP/2; h2load by both, with many connections and streams at once. */
export const https: Interop = async (steps) => {
  need({ curl: "/usr/bin/curl", "nghttp2-client": "/usr/bin/h2load" });
  await withDoorApp(async (app) => {
    const base = `https://127.0.0.1:${app.ports.https}`;
    for (const version of ["--http1.1", "--http2"] as const) {
      await steps.step(`curl ${version} signs in, uploads, hears events and is refused`, () =>
        useDoor(app, base, version),
      );
      await steps.step(`curl ${version} is told what is wrong`, async () => {
        const curl = curlOf(base, version);
        for (const [path, args, status] of [
          ["/nowhere", [], 404],
          ["/t", ["-X", "GET"], 405],
          ["/", ["-H", `A: ${"a".repeat(17_000)}`], 431],
          ["/t/plain", ["--data-binary", "x".repeat(100_001)], 413],
        ] as const) {
          const { out } = await curl(path, "-i", ...args);
          const [, told] = /^HTTP\/[\d.]+ (\d+)/m.exec(out) ?? [];
          assert(Number(told) === status && out.includes("problem+json"), `${path}: ${out}`);
          assert(/^access-control-allow-origin: \*/im.test(out), out);
        }
      });
    }
    for (const [name, args] of [
      ["HTTP/2", ["-c", "2", "-m", "100"]],
      ["HTTP/1.1", ["-c", "20", "--h1"]],
    ] as const)
      await steps.step(`h2load by ${name}: every answer comes`, async () => {
        const load = ["-n", "10000", "-t", "1", ...args, `${base}/`];
        const { out } = await command("h2load", load, "", 120_000);
        assert(/10000 succeeded, 0 failed, 0 errored, 0 timeout/.test(out) && /10000 2xx/.test(out), out);
      });
    await steps.step(
      "h2load, 2,000 requests at once of nobody we know: none is lost, some are told to come again",
      async () => {
        const load = ["-n", "10000", "-t", "1", "-c", "20", "-m", "100", `${base}/`];
        const { out } = await command("h2load", load, "", 120_000);
        const [, well, told] = / (\d+) 2xx, 0 3xx, (\d+) 4xx, 0 5xx/.exec(out) ?? [];
        assert(Number(well) + Number(told) === 10_000 && Number(well) > 200, out);
      },
    );
    await steps.step("is whole afterwards", () => useDoor(app, base, "--http2"));
  });
};
