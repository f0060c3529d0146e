/** What every command may be told besides its arguments. */
export interface Flags {
  readonly json: boolean;
  readonly passwordStdin: boolean;
  readonly only: string | undefined;
  readonly mailbox: string | undefined;
  readonly salvage: boolean;
  readonly sealed: boolean;
  readonly retry: boolean;
  readonly repair: boolean;
  /** What would be asked for is meant. */
  readonly yes: boolean;
}
