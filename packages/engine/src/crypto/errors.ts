/** What was opened is not what was sealed: damaged, swapped, or made by someone else. Messages carry no secrets. */
export class CryptoError extends Error {
  readonly code: "corrupt" | "unknown-key" | "busy";
  constructor(code: "corrupt" | "unknown-key" | "busy", message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CryptoError";
    this.code = code;
  }
}
