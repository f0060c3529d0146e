export { createLmtpServer, type LmtpServer, type LmtpServerOptions } from "./server.ts";
