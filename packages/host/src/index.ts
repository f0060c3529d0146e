/**
 * The parts of a server that are not mail: configuration, TLS, listeners, keys, logs. What loads a large library has a way in
 * of its own, for those that need it: /door, /metrics.
 */
export { Acme, type AcmeOptions, acmeFile } from "./acme/acme.ts";
export { certificateProblems, EXPIRY_WARNING_DAYS, endOf, readCertificate } from "./certificate.ts";
export { type Config, dataPath, readConfig, type S3Config, type StoreKind } from "./config.ts";
export { ConfigError } from "./config-error.ts";
export { type Dismissal, Gate, type GateLimits, type GateOptions, type Visitor } from "./gate.ts";
export { HANDSHAKE_MS, shakeHands } from "./handshake.ts";
export { type Download, download, events, json, page } from "./https/answers.ts";
export { TrustedProxies } from "./https/client.ts";
export type { DoorSocket } from "./https/door-socket.ts";
export type { EventStream, ServerEvent } from "./https/event-stream.ts";
export { ACCOUNT_REQUESTS_MAX, ACCOUNT_UPLOADS_MAX } from "./https/limits.ts";
export { Problem, type ProblemOptions, unavailable } from "./https/problem.ts";
export {
  type Answer,
  type DoorRequest,
  type Method,
  PROTOCOL_MARK,
  type Route,
  type Site,
  type SocketRoute,
} from "./https/site.ts";
export { type TurnKind, Turns } from "./https/turns.ts";
export { findKey, readOrMakeKey, writeNew } from "./keys.ts";
export { letGo } from "./let-go.ts";
export { ListenError, listen } from "./listen.ts";
export {
  isLoopbackAddress,
  isLoopbackClient,
  isOnePlace,
  type ListenAddress,
  parseListenAddress,
} from "./listen-address.ts";
export { createLog, type Log, type LogLevel, type LogLine } from "./log.ts";
export { makeFolder } from "./make-folder.ts";
export type { Metrics } from "./metrics.ts";
export { createMetricsServer, type MetricsServerOptions } from "./metrics-server.ts";
export { OnceFolder } from "./once-folder.ts";
export { Tls, type TlsOptions } from "./tls.ts";
export { isTurnOver, PACE, TURN_MS, takeTurn } from "./turn.ts";
