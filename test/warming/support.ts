import type { WarmerOptions } from '../../src/compose.ts'
import { BunCacheWarmer } from '../../src/warming/bun-cache-warmer.ts'
import type { BunCacheWarmerOptions, WarmTaskResult } from '../../src/warming/task-options.ts'
import { type Bench, benchOf } from '../fakes/warmer.ts'

/** A {@linkcode BunCacheWarmer} whose warmers write into memory, by a clock that a test moves. */
export function bunWarmer(options: BunCacheWarmerOptions = {}) {
  const benches: Bench[] = []
  const given: WarmerOptions[] = []
  let onBench: (bench: Bench) => void = () => {}
  const clock = () => benches.at(-1)?.clock
  const warmer = new BunCacheWarmer(options, {
    createWarmer: async (of) => {
      given.push(of)
      const { tasks, ...rest } = of.config ?? { tasks: {} }
      const bench = benchOf(tasks, rest)
      benches.push(bench)
      onBench(bench)
      return bench.warmer
    },
    env: () => ({ REDIS_URL: 'redis://of-the-environment', WARMING_CONCURRENT_WARMERS: '7', WARMING_DEFAULT_TTL: '5' }),
    nowNs: () => clock()?.nowNs() ?? 0,
    nowMs: () => clock()?.nowMs() ?? 0,
  })
  return {
    ...{ warmer, benches, given },
    onBench(fn: (bench: Bench) => void) {
      onBench = fn
    },
    /** `executeTasks`, with the clock moved on until it has ended. */
    async run(concurrency?: number, rest?: { signal?: AbortSignal }): Promise<WarmTaskResult[]> {
      const { promise: begun, resolve } = Promise.withResolvers<Bench>()
      onBench = resolve
      const ended = warmer.executeTasks(concurrency, rest)
      return (await begun).clock.until(ended)
    },
    stored: async (key: string) => (await benches.at(-1)?.store.read([key]))?.[0] ?? null,
  }
}

export const statuses = (results: WarmTaskResult[]) => results.map(({ name, status }) => `${name} ${status}`)
