import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { letGo } from "../let-go.ts";
import { COMMON_HEADERS, isAnswering } from "./exchange.ts";
import { Problem } from "./problem.ts";

/** By what Node's parser of HTTP/1.1 says. */
const PROBLEMS: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, "The header is too large"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "The chunk extensions are too large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "The request comes too slowly"],
};
/** Nobody is there any more. */
const GONE = ["ECONNRESET", "EPIPE"];

/** Answers that are given before others have their turn: connections are late by the hundred. */
const ANSWERS_A_TURN = 10;
const waiting: (() => void)[] = [];

/** Answers what never became a request of HTTP/1.1, and ends the connection, in its turn. */
export function answerClientError(socket: Socket, error: NodeJS.ErrnoException): void {
  waiting.push(() => answer(socket, error));
  if (waiting.length === 1) setImmediate(answerSome);
}

function answerSome(): void {
  for (const give of waiting.slice(0, ANSWERS_A_TURN)) give();
  waiting.splice(0, ANSWERS_A_TURN);
  if (waiting.length > 0) setImmediate(answerSome);
}

function answer(socket: Socket, error: NodeJS.ErrnoException): void {
  if (!socket.writable || GONE.includes(error.code ?? "")) {
    socket.destroy();
    return;
  }
  if (isAnswering(socket)) {
    letGo(socket);
    return;
  }
  const { status, body } = problemOf(error).answer;
  const text = (body as Buffer).toString();
  const headers = {
    ...COMMON_HEADERS,
    "content-type": "application/problem+json",
    "content-length": String(Buffer.byteLength(text)),
    connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("\r\n")}\r\n\r\n${text}`);
  letGo(socket);
}

function problemOf(error: NodeJS.ErrnoException): Problem {
  if (error instanceof Problem) return error;
  return new Problem(...(PROBLEMS[error.code ?? ""] ?? [400, "This is no HTTP request"]));
}
