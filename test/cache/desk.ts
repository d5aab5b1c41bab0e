import { type CacheSettings, settleCache } from '../../src/cache/options.ts'
import { TieredCache } from '../../src/cache/tiered.ts'
import type { ReadTold } from '../../src/cache/types.ts'
import type { Task } from '../../src/config/task.ts'
import type { Origin } from '../../src/origin/types.ts'
import { FakeClock } from '../fakes/clock.ts'
import { MemoryTier } from '../fakes/memory-tier.ts'
import { MemoryTierState } from '../fakes/memory-tier-state.ts'
import { FakeOrigin } from '../fakes/origin.ts'

export interface Seat {
  cache: TieredCache
  tier: MemoryTier
  told: ReadTold[]
  errors: string[]
  /** Run by `close`. */
  cleanUps: (() => Promise<void> | void)[]
}

/** Caches over one shared tier in memory, by a clock that stands still. Nothing is refreshed ahead unless that is asked for. */
export class Desk {
  readonly clock = new FakeClock()
  readonly state = new MemoryTierState(this.clock)
  readonly origin = new FakeOrigin()
  random = 0.5

  seat(settings: CacheSettings & { tasks?: Task[]; originOf?: () => Origin } = {}): Seat {
    const { tasks = [], originOf = () => this.origin, ...rest } = settings
    const cleanUps: Seat['cleanUps'] = []
    const told: ReadTold[] = []
    const errors: string[] = []
    const tier: MemoryTier = new MemoryTier({
      state: this.state,
      listener: {
        onChanged: (keys) => cache.onChanged(keys),
        onDeleted: (keys) => cache.onDeleted(keys),
      },
    })
    const cache: TieredCache = new TieredCache({
      ...{ tier, clock: this.clock, random: () => this.random, tasks },
      limits: settleCache({ ttlJitter: 0, refreshAhead: 0, ...rest }, 60_000),
      originOf,
      observer: {
        read: (one) => void told.push(one),
        error: ({ tier: where }) => void errors.push(where),
        invalidated() {},
      },
      cleanUps,
    })
    return { cache, tier, told, errors, cleanUps }
  }

  /** Moves the clock on until `work` has ended. */
  until<T>(work: Promise<T>): Promise<T> {
    return this.clock.until(work)
  }

  /** A load that ends when it is told to, and counts. */
  held<T>() {
    const calls: string[] = []
    const waiting: { resolve: (value: T) => void; reject: (error: unknown) => void; signal: AbortSignal }[] = []
    const load = (key: string, { signal }: { signal: AbortSignal }) => {
      calls.push(key)
      return new Promise<T>((resolve, reject) => void waiting.push({ resolve, reject, signal }))
    }
    return { load, calls, waiting }
  }
}
