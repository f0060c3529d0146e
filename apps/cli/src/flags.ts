/** Flags of commands that print an answer and ask for passwords. */
export interface Flags {
  readonly json: boolean;
  readonly passwordStdin: boolean;
}
