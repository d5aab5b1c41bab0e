import type { CacheFacade, CacheResult, GetOptions, SetOptions, SetOutcome } from '../../src/cache/types.ts'
import type { Clock } from '../../src/clock.ts'
import { parseDuration } from '../../src/config/duration.ts'
import { PrewarmError } from '../../src/errors.ts'

interface Entry {
  text: string
  untilMs: number
  /** The moment its load began, or it was set. */
  ticket: number
}

/** One layer of the contract in src/cache/types.ts that the recipes use: no lease, no grace, no Redis. */
export class FakeCache implements Pick<CacheFacade, 'read' | 'get' | 'set' | 'delete' | 'warm'> {
  readonly entries = new Map<string, Entry>()
  /** Redis can't be reached: reads fall through, writes throw. */
  isDown = false
  /** Reads throw before they load anything. */
  isBroken = false
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #changes = new Map<string, number>()
  readonly #flights = new Map<string, Promise<unknown>>()
  #ticket = 0

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock
  }

  /** What is cached under a key now; null: that the origin has none. */
  peek(key: string): unknown {
    const entry = this.entries.get(key)
    return entry !== undefined && entry.untilMs > this.#clock.nowMs() && !this.isDown
      ? JSON.parse(entry.text)
      : undefined
  }

  async get<T>(key: string, options: GetOptions<T> = {}): Promise<T | undefined> {
    return (await this.read<T>(key, options)).value
  }

  async read<T>(key: string, options: GetOptions<T> = {}): Promise<CacheResult<T>> {
    if (this.isBroken) throw new PrewarmError('STOPPED', `The cache was closed: no '${key}'`)
    const kept = this.peek(key)
    const rest = { filledBy: 'read', ttlMs: 0 } as const
    if (kept === null) return { value: undefined, tier: 'redis', status: 'hit', ...rest }
    if (kept !== undefined) return { value: kept as T, tier: 'redis', status: 'hit', ...rest }
    let flight = this.#flights.get(key)
    if (flight === undefined) {
      flight = this.#load(key, options)
      this.#flights.set(key, flight)
      const done = () => {
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
      }
      flight.then(done, done)
    }
    return { value: (await flight) as T | undefined, tier: 'origin', status: 'miss', ...rest }
  }

  async set(key: string, value: unknown, options: SetOptions = {}): Promise<SetOutcome> {
    this.#reach(key)
    this.#changed(key)
    this.#write(key, value, options, this.#ticket)
    return 'written'
  }

  async delete(...keys: string[]): Promise<number> {
    for (const key of keys) this.#changed(key)
    for (const key of keys) this.#reach(key)
    return keys.filter((key) => this.entries.delete(key)).length
  }

  async warm<T>(key: string, options: GetOptions<T>): Promise<SetOutcome | 'no_value'> {
    this.#reach(key)
    const ticket = ++this.#ticket
    const value = await options.load?.(key, { signal: new AbortController().signal })
    if (value === undefined || value === null) return 'no_value'
    const isLate = (this.#changes.get(key) ?? 0) > ticket || (this.entries.get(key)?.ticket ?? 0) > ticket
    if (!isLate) this.#write(key, value, options, ticket)
    return isLate ? 'skipped_newer' : 'written'
  }

  async #load<T>(key: string, options: GetOptions<T>): Promise<unknown> {
    const ticket = ++this.#ticket
    const value = await options.load?.(key, { signal: new AbortController().signal })
    if (value === undefined || value === null) {
      if (options.negativeTtl !== 0) this.#write(key, null, { ttl: options.negativeTtl ?? '10s' }, ticket)
      return undefined
    }
    if (!this.isDown && (this.#changes.get(key) ?? 0) <= ticket) this.#write(key, value, options, ticket)
    return JSON.parse(JSON.stringify(value))
  }

  #write(key: string, value: unknown, { ttl = '1h' }: SetOptions, ticket: number): void {
    const ttlMs = parseDuration(ttl) as number
    this.entries.set(key, { text: JSON.stringify(value), untilMs: this.#clock.nowMs() + ttlMs, ticket })
  }

  #changed(key: string): void {
    this.#changes.set(key, ++this.#ticket)
    this.#flights.delete(key)
  }

  #reach(key: string): void {
    if (this.isDown) throw new PrewarmError('STORE_UNREACHABLE', `Cannot write '${key}': Redis is away`)
  }
}
