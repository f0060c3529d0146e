/** Doubles for the tests of other packages. */
export { MemoryPlace } from "./storage/memory.ts";
