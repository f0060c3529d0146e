/** Seed of this run's choices: printed, and given again by RESTANTE_TEST_SEED. */
export function testSeed(): number {
  const seed = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 100_000);
  console.log(`seed=${seed}`);
  return seed;
}
