/** Exit codes: docs/operating.md. */
export const EXIT = { well: 0, failed: 1, usage: 2, unavailable: 3 } as const;

/** Ends the command with this code and a line for the person at the terminal. */
export class Exit extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.name = "Exit";
    this.code = code;
  }
}
