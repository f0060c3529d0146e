/** What a front end needs to be a server: configuration, TLS, listeners, keys, logs. */
export { type Config, ConfigError, dataPath, readConfig, type S3Config, type StoreKind } from "./config.ts";
export { type Dismissal, Gate, type GateLimits, type GateOptions, type Visitor } from "./gate.ts";
export { HANDSHAKE_MS, shakeHands } from "./handshake.ts";
export { readOrMakeKey } from "./keys.ts";
export { letGo } from "./let-go.ts";
export { isLoopbackAddress, type ListenAddress, listen, parseListenAddress } from "./listen.ts";
export { createLog, type Log, type LogLevel, type LogLine } from "./log.ts";
export { Tls, type TlsOptions } from "./tls.ts";
