/** What commands that answer and ask are told: how to answer, and where passwords come from. */
export interface Flags {
  readonly json: boolean;
  readonly passwordStdin: boolean;
}
