import { type Config, ConfigError } from "@restante/host";
import { expect, test } from "vitest";
import { checkOutbound } from "./outbound.ts";

const settings = (smarthost: string): Config =>
  ({ outbound: { smarthost, ca_file: "" }, push: { allow: [], ca_file: "", contact: "" } }) as unknown as Config;

test.each([
  ["smtp://ada@mx.example.org", false],
  ["smtp://ada@192.0.2.1:25", false],
  ["smtp://mx.example.org", true],
  ["smtp+starttls://ada@mx.example.org", true],
  ["smtps://ada@mx.example.org", true],
  ["smtp://ada@127.0.0.1:2525", true],
  ["smtp://ada@[::1]", true],
  ["", true],
])("a password goes over TLS, but on this machine: %j is taken: %s", (smarthost, isTaken) => {
  const check = (): void => checkOutbound(settings(smarthost));
  if (isTaken) expect(check).not.toThrow();
  else
    expect(check).toThrow(
      new ConfigError("outbound.smarthost: a password goes over TLS only: write smtp+starttls:// or smtps://"),
    );
});
