import type { Clock } from '../clock.ts'
import { Recent } from '../coordination/recent.ts'
import type { Commands } from '../coordination/types.ts'
import { BUCKET_MS } from './buckets.ts'
import { readWindow } from './windows.ts'

/** How often keys are read now. */
export interface Demand {
  /** Reads an hour; 0: none is known of. */
  readsPerHour(key: string): number
  /** Of the keys that were read; 0: nothing is known. */
  readonly meanReadsPerHour: number
  /** Keys that were read, and how often an hour; bounded as the access log is. */
  readonly keys: ReadonlyMap<string, number>
}

export const NO_DEMAND: Demand = { readsPerHour: () => 0, meanReadsPerHour: 0, keys: new Map() }

/** What is looked at, and how long an answer holds, ms. */
const WINDOW_MS = 3_600_000
const FRESH_MS = 10_000

/** Tells how often keys were read in the last hour, by the access log in Redis. */
export class DemandReader {
  readonly #commands: Commands
  readonly #recent: Recent<Demand>

  constructor({
    commands,
    clock,
    onError = () => {},
  }: {
    commands: Commands
    clock: Clock
    onError?: (error: unknown) => void
  }) {
    this.#commands = commands
    const ask = (nowMs: number) =>
      this.#ask(nowMs).catch((error) => {
        onError(error)
        this.#recent.forget()
        return NO_DEMAND
      })
    this.#recent = new Recent({ clock, holdsMs: FRESH_MS, ask })
  }

  /** An answer of the last ten seconds may be given again. Never throws: nothing is known where Redis can't be asked. */
  read(): Promise<Demand> {
    return this.#recent.read()
  }

  async #ask(nowMs: number): Promise<Demand> {
    const { keys, fromMs } = await readWindow(this.#commands, {
      fromMs: nowMs - WINDOW_MS + BUCKET_MS,
      toMs: nowMs + 1,
    })
    const hours = (nowMs - fromMs) / 3_600_000
    const rates = new Map<string, number>()
    let sum = 0
    for (const [key, { reads }] of keys) {
      rates.set(key, reads / hours)
      sum += reads / hours
    }
    if (rates.size === 0) return NO_DEMAND
    return { readsPerHour: (key) => rates.get(key) ?? 0, meanReadsPerHour: sum / rates.size, keys: rates }
  }
}
