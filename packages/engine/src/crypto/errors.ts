/** Sealed bytes that can't be opened: damaged, swapped, or made by someone else (`corrupt`); sealed under a key that the ring
 * lacks (`unknown-key`); or too many guesses wait (`busy`). Messages carry no secrets. */
export class CryptoError extends Error {
  readonly code: "corrupt" | "unknown-key" | "busy";
  constructor(code: "corrupt" | "unknown-key" | "busy", message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CryptoError";
    this.code = code;
  }
}
