import process from 'node:process'
import fc from 'fast-check'

/** A failed property's message tells its seed; `PREWARM_SEED=… bun test <file>` plays it again. */
const SEED = process.env.PREWARM_SEED

export function check(property: fc.IProperty<never> | fc.IProperty<unknown>, runs = 200): void {
  fc.assert(property as fc.IProperty<unknown>, options(runs))
}

export async function checkAsync(property: fc.IAsyncProperty<unknown>, runs = 100): Promise<void> {
  await fc.assert(property, options(runs))
}

function options(runs: number): fc.Parameters<unknown> {
  return { numRuns: runs, ...(SEED === undefined ? {} : { seed: Number(SEED) }) }
}
