import { type Config, type ListenAddress, parseListenAddress } from "@restante/host";
import { serverNames } from "./certificate-watch.ts";

/** What to type into a mail program, as lines; "" where this configuration serves none. */
export function mailProgramLines(config: Config, address: string): readonly string[] {
  const [name] = serverNames(config);
  const ways = [
    ...config.imaps.listen.map((text) => ({ text, security: "SSL/TLS" })),
    ...config.imap.listen.map((text) => ({ text, security: "STARTTLS" })),
  ].flatMap(({ text, security }) => wayOf(parseListenAddress(text), security, name));
  if (ways.length === 0) return [];
  return [
    "In a mail program, for mail that comes in (IMAP):",
    ...ways.map(({ host, port, security }) => `  server ${host}, port ${port}, security ${security}`),
    `  user name ${address}, password: this one, or an app password (restante app-password add ${address} LABEL)`,
    ...outgoingLines(config, name),
  ];
}

function outgoingLines({ submission, submissions }: Config, name: string | undefined): readonly string[] {
  const ways = [
    ...submissions.listen.map((text) => ({ text, security: "SSL/TLS" })),
    ...submission.listen.map((text) => ({ text, security: "STARTTLS" })),
  ].flatMap(({ text, security }) => wayOf(parseListenAddress(text), security, name));
  if (ways.length === 0) return ["For mail that goes out (SMTP): the server that you send by, with its own password."];
  return [
    "For mail that goes out (SMTP), with the same user name and password:",
    ...ways.map(({ host, port, security }) => `  server ${host}, port ${port}, security ${security}`),
  ];
}

interface Way {
  readonly host: string;
  readonly port: number;
  readonly security: string;
}

function wayOf(address: ListenAddress, security: string, name: string | undefined): readonly Way[] {
  if (address.kind === "unix") return [];
  const isAny = ["0.0.0.0", "::"].includes(address.host);
  return [{ host: name ?? (isAny ? "THIS MACHINE'S NAME" : address.host), port: address.port, security }];
}
