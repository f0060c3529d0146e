/** Where mail is handed to: `outbound.smarthost`. */
export interface Smarthost {
  readonly at:
    | { readonly kind: "tcp"; readonly host: string; readonly port: number }
    | { readonly kind: "unix"; readonly path: string };
  /** From the first octet on, by STARTTLS, or not at all. */
  readonly tls: "implicit" | "starttls" | "none";
  /** The user name for SMTP AUTH; undefined to send without signing in. */
  readonly user: string | undefined;
}

const PORTS = { implicit: 465, starttls: 587, none: 25 } as const;
const TLS: Readonly<Record<string, Smarthost["tls"]>> = {
  "smtp:": "none",
  "smtp+starttls:": "starttls",
  "smtps:": "implicit",
};

/** Reads `smtp://host:25`, `smtp+starttls://user@host:587`, `smtps://user@host:465`, `smtp+unix:///path`. Throws RangeError
 * with a sentence for the setting's author. */
export function parseSmarthost(text: string): Smarthost {
  if (!URL.canParse(text)) throw new RangeError("it is no address such as smtp+starttls://user@host:587");
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(text);
  if (password !== "") throw new RangeError("a password does not stand in it: outbound.password has it");
  if (search !== "" || hash !== "") throw new RangeError("nothing stands behind its host");
  if (protocol === "smtp+unix:") {
    if (hostname !== "" || pathname.length < 2) throw new RangeError("a socket is written smtp+unix:///path");
    return { at: { kind: "unix", path: decodeURIComponent(pathname) }, tls: "none", user: undefined };
  }
  const tls = Object.hasOwn(TLS, protocol) ? TLS[protocol] : undefined;
  if (tls === undefined) throw new RangeError("it begins with smtp://, smtp+starttls://, smtps:// or smtp+unix://");
  if (hostname === "" || (pathname !== "" && pathname !== "/"))
    throw new RangeError("it has a host, and nothing behind it");
  return {
    at: { kind: "tcp", host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? PORTS[tls] : Number(port) },
    tls,
    user: username === "" ? undefined : decodeURIComponent(username),
  };
}
