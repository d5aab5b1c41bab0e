import { getLogger } from '@logtape/logtape'
import type { Clock } from '../clock.ts'
import type { Demand } from '../predict/demand.ts'
import type { MemoryState } from './memory-guard.ts'
import type { KeyHeat, Store } from './types.ts'
import { choosesByReads, type Victims, victimsOf } from './victims.ts'

const log = getLogger(['prewarm'])

export interface KeySieveOptions {
  store: Pick<Store, 'ttlsMs' | 'randomKeys' | 'heatOf'>
  demand: () => Promise<Demand>
  clock: Clock
}

/** What is known of a full Redis, and of who wants to write. */
export interface Pressure {
  state: MemoryState
  /** How long warming has gone on, ms. */
  activeMs: number
  /** What one of the keys takes. */
  bytesPerKey: number
  /** What others were let through with, and have not written yet. */
  pendingBytes: number
}

/** Which of the keys may be written: of the first `count`, those in `stays`. 0: not before something else was written. */
export interface Sifted {
  count: number
  stays: ReadonlySet<string>
}

/** Keys asked for at once: a question takes memory as well, and there is none. */
const CHUNK = 100
/** Keys looked at for who would go. */
const SAMPLE = 100
/** How long what may be replaced in all is counted by one look, ms. */
const TOTAL_MS = 300_000

/**
 * Says which keys a Redis without room can take: those that it holds, which are replaced, and those that are read more often than
 * what it would drop for them (see `victimsOf`), a tenth of its memory at once.
 */
export class KeySieve {
  readonly #options: KeySieveOptions
  #total = { endsMs: Number.NEGATIVE_INFINITY, leftBytes: 0 }

  constructor(options: KeySieveOptions) {
    this.#options = options
  }

  /** @throws {PrewarmError} `STORE_*` */
  async sift(keys: readonly string[], pressure: Pressure): Promise<Sifted> {
    const { demand } = this.#options
    const stays = await this.#present(keys)
    if (stays.size === keys.length || !choosesByReads(pressure.state.evictionPolicy))
      return { count: keys.length, stays }
    const { readsPerHour } = await demand()
    if (!keys.some((key) => readsPerHour(key) > 0 && !stays.has(key))) return { count: keys.length, stays }
    const victims = await this.#look(pressure)
    const isHot = (key: string) => !stays.has(key) && readsPerHour(key) >= victims.readsPerHour
    return this.#letThrough(keys, stays, { ...pressure, victims, isHot })
  }

  /** Nothing, where Redis does not tell: then nobody is surely colder. */
  async #sample(): Promise<KeyHeat[]> {
    const { store } = this.#options
    try {
      const { keys } = await store.heatOf(await store.randomKeys(SAMPLE))
      return keys.filter((heat) => heat !== null)
    } catch (error) {
      log.warn('it is not known what Redis would drop for new keys: {error}', { error })
      return []
    }
  }

  async #present(keys: readonly string[]): Promise<Set<string>> {
    const present = new Set<string>()
    for (let from = 0; from < keys.length; from += CHUNK) {
      const some = keys.slice(from, from + CHUNK)
      const ttlsMs = await this.#options.store.ttlsMs(some)
      for (const [at, key] of some.entries()) if (ttlsMs[at] !== -2) present.add(key)
    }
    return present
  }

  #letThrough(
    keys: readonly string[],
    stays: Set<string>,
    { victims, isHot, bytesPerKey, pendingBytes }: Pressure & { victims: Victims; isHot: (key: string) => boolean },
  ): Sifted {
    let bytes = Math.min(victims.bytes, this.#total.leftBytes)
    const mayCome = Math.floor(bytes / bytesPerKey)
    bytes -= pendingBytes
    let replaced = 0
    for (const [count, key] of keys.entries()) {
      if (!isHot(key) || mayCome === 0) continue
      // The rest is looked at anew when these are written.
      if ((replaced + 1) * bytesPerKey > bytes) return this.#end({ count, stays }, replaced * bytesPerKey)
      stays.add(key)
      replaced++
    }
    return this.#end({ count: keys.length, stays }, replaced * bytesPerKey)
  }

  #end(sifted: Sifted, bytes: number): Sifted {
    this.#total.leftBytes -= bytes
    return sifted
  }

  async #look({ state, activeMs }: Pressure): Promise<Victims> {
    const { clock } = this.#options
    const victims = victimsOf(await this.#sample(), { ...state, activeMs })
    const nowMs = clock.nowNs() / 1e6
    if (nowMs >= this.#total.endsMs) this.#total = { endsMs: nowMs + TOTAL_MS, leftBytes: victims.totalBytes }
    return victims
  }
}
