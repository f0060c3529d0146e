/** True where all that can be tried is tried: in the long run of the tests, which `.ci/run` makes. `npm test` tries a part. */
const TRIES_ALL: boolean = process.env.RESTANTE_TESTS === "all";

/** How many rounds, messages or steps: `all` in the long run, `few` in the short one. */
export function extent(all: number, few: number): number {
  return TRIES_ALL ? all : few;
}

/** How far a walk over all steps goes on at once: each step in the long run, one of `few` in the short one. */
export function stride(few: number): number {
  return TRIES_ALL ? 1 : few;
}
