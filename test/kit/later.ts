/** `node --import` of this makes any process of Restante, and its store's thread, one that runs so much later. */
const shiftMs = Number(process.env.TEST_CLOCK_SHIFT_MS);
const now = Date.now;
Date.now = () => now() + shiftMs;
