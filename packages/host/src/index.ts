/** What a front end needs to be a server: configuration, TLS, listeners, keys, logs. */
export { type Config, ConfigError, dataPath, readConfig, type S3Config, type StoreKind } from "./config.ts";
export { type Dismissal, Gate, type GateLimits, type GateOptions, type Visitor } from "./gate.ts";
export { HANDSHAKE_MS, shakeHands } from "./handshake.ts";
export { type Download, download, events, json, page } from "./https/answers.ts";
export { TrustedProxies } from "./https/client.ts";
export { Door, type DoorOptions } from "./https/door.ts";
export type { DoorSocket } from "./https/door-socket.ts";
export type { EventStream, ServerEvent } from "./https/event-stream.ts";
export { Problem, type ProblemOptions, unavailable } from "./https/problem.ts";
export type { Answer, DoorRequest, Method, Route, Site, SocketRoute } from "./https/site.ts";
export { type TurnKind, Turns } from "./https/turns.ts";
export { readOrMakeKey } from "./keys.ts";
export { letGo } from "./let-go.ts";
export { isLoopbackAddress, type ListenAddress, listen, parseListenAddress } from "./listen.ts";
export { createLog, type Log, type LogLevel, type LogLine } from "./log.ts";
export { OnceFolder } from "./once-folder.ts";
export { Tls, type TlsOptions } from "./tls.ts";
