/** SMTP for programs that speak IMAP too: their owners' mail goes out by it. */
export { createSubmissionServer, type SubmissionServer, type SubmissionServerOptions } from "./server.ts";
