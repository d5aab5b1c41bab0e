import { setting } from './check.ts'

/** One way to do the same work. */
export interface Variant {
  name: string
  /** Not timed. */
  before?: () => Promise<unknown> | unknown
  run: () => Promise<unknown>
  /** Not timed; throws if the work was not done. */
  after?: () => Promise<unknown>
}

export interface Timing {
  name: string
  /** Median of all rounds, seconds. */
  seconds: number
  /** Seconds, in the rounds' order. */
  all: number[]
}

/**
 * Times every variant once a round, in turn (A B C, B C A, …), so that a busy machine slows all of them alike.
 * mitata runs one benchmark after the other, which would compare a quiet minute with a busy one.
 */
export async function inTurns(variants: readonly Variant[], rounds = setting('BENCH_ROUNDS', 5)): Promise<Timing[]> {
  const timings = variants.map(({ name }): Timing => ({ name, seconds: 0, all: [] }))
  // The first round compiles and connects; it is not counted.
  for (let round = -1; round < rounds; round++) {
    for (let at = 0; at < variants.length; at++) {
      const index = (at + round + variants.length) % variants.length
      const variant = variants[index] as Variant
      await variant.before?.()
      Bun.gc(true)
      const startNs = Bun.nanoseconds()
      await variant.run()
      const seconds = (Bun.nanoseconds() - startNs) / 1e9
      await variant.after?.()
      if (round >= 0) timings[index]?.all.push(seconds)
    }
  }
  for (const timing of timings) timing.seconds = median(timing.all)
  return timings
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** How many times as fast `a` is as `b`: the median of the rounds' own ratios, which noise that lasts longer than a round does not move. */
export function ratio(timings: readonly Timing[], a: string, b: string): number {
  const of = (name: string) => timings.find((timing) => timing.name === name)?.all ?? []
  return median(of(a).map((seconds, round) => (of(b)[round] ?? Number.NaN) / seconds))
}

/** A line a variant: median, range, keys a second, and how fast it is beside `base`. */
export function printTimings(timings: readonly Timing[], keys: number, base: string): void {
  const width = Math.max(...timings.map(({ name }) => name.length))
  for (const { name, seconds, all } of timings) {
    const range = `${Math.min(...all).toFixed(3)} - ${Math.max(...all).toFixed(3)}`
    const rate = `${Math.round(keys / seconds / 1000)}k keys/s`.padStart(12)
    console.log(
      `${name.padEnd(width)}  ${seconds.toFixed(3)} s (${range})${rate}  ${ratio(timings, name, base).toFixed(2)}x ${base}`,
    )
  }
}
