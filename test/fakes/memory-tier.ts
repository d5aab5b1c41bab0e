import type { Ask, CacheLink, ChangeListener, Fill, Filled, Found, Lease, SharedTier } from '../../src/cache/tier.ts'
import type { FilledBy } from '../../src/cache/types.ts'
import type { MemoryTierState } from './memory-tier-state.ts'

export type TierCall = Exclude<keyof SharedTier, 'hearing' | 'close'>

export interface MemoryTierOptions {
  state: MemoryTierState
  /** @default 5000 */
  leaseMs?: number
  /** Hears what the other instances change. */
  listener?: ChangeListener
}

let instances = 0

/** A {@linkcode SharedTier} in memory, one of several instances over one state, with hooks for faults. */
export class MemoryTier implements SharedTier {
  readonly #state: MemoryTierState
  readonly #leaseMs: number
  readonly #listener: ChangeListener | undefined
  readonly #name = `memory${instances++}.`
  #leases = 0
  #hearing: CacheLink['hearing'] = 'tracking'
  /** Every call, as it came. */
  readonly calls: { name: TierCall; keys: readonly string[] }[] = []
  isClosed = false
  /** Runs before each call: it may take its time, or throw what the call is to fail with. */
  before: (name: TierCall, keys: readonly string[]) => Promise<void> | void = () => {}
  /** Runs after each call, before its caller learns of it: the reply is on its way, or lost if it throws. */
  after: (name: TierCall, keys: readonly string[]) => Promise<void> | void = () => {}

  constructor({ state, leaseMs = 5000, listener }: MemoryTierOptions) {
    this.#state = state
    this.#leaseMs = leaseMs
    this.#listener = listener
    state.told.add(this.#told)
  }

  get hearing(): CacheLink['hearing'] {
    return this.#hearing
  }

  /** As if connections were lost, and came back: then `how` is heard again. */
  setHearing(how: CacheLink['hearing']): void {
    const wasHearing = this.#hearing !== 'nothing'
    this.#hearing = how
    if (how === 'nothing' && wasHearing) this.#listener?.onChanged(null)
  }

  read(asks: readonly Ask[]): Promise<Found[]> {
    const token = this.#token()
    let ticket = ''
    const ticketOf = () => {
      if (ticket === '') ticket = String(this.#state.changes.tick())
      return ticket
    }
    return this.#call('read', keysOf(asks), () =>
      asks.map((ask) => this.#state.read(ask, this.#leaseMs, token, ticketOf)),
    )
  }

  lease(key: string): Promise<Lease | null> {
    return this.#call('lease', [key], () => this.#state.lease(key, this.#leaseMs, this.#token()))
  }

  ticket(): Promise<Lease> {
    return this.#call('ticket', [], () => ({ token: '', ticket: String(this.#state.changes.tick()) }))
  }

  async release(keys: readonly string[], { token }: Lease): Promise<void> {
    if (token === '') return
    await this.#call('release', keys, () => this.#state.release(keys, token)).catch(() => {})
  }

  fill(
    fills: readonly Fill[],
    { lease, replace, filledBy }: { lease: Lease; replace: boolean; filledBy: FilledBy },
  ): Promise<Filled[]> {
    return this.#call('fill', keysOf(fills), () =>
      fills.map((fill) => this.#state.fill(fill, lease, replace, filledBy, this)),
    )
  }

  set(sets: readonly Fill[], { filledBy }: { filledBy: FilledBy }): Promise<Filled[]> {
    return this.#call('set', keysOf(sets), () => sets.map((one) => this.#state.set(one, filledBy, this)))
  }

  delete(keys: readonly string[]): Promise<number> {
    return this.#call('delete', keys, () => this.#state.delete(keys, this))
  }

  heard(keys: readonly string[]): Promise<void> {
    return this.#call('heard', keys, () => this.#state.heard(keys, this))
  }

  barrier(): Promise<void> {
    return this.#call('barrier', [], () => this.#state.changes.barrier())
  }

  tagVersions(tags: readonly string[]): Promise<string[]> {
    return this.#call('tagVersions', tags, () => tags.map((tag) => this.#state.tagVersion(tag)))
  }

  invalidateTags(tags: readonly string[]): Promise<void> {
    return this.#call('invalidateTags', tags, () => this.#state.invalidateTags(tags, this))
  }

  async *scan(prefix: string): AsyncIterable<string[]> {
    const keys = await this.#call('scan', [prefix], () => this.#state.keys().filter((key) => key.startsWith(prefix)))
    for (let from = 0; from < keys.length; from += 100) yield keys.slice(from, from + 100)
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.#hearing = 'nothing'
    this.#state.told.delete(this.#told)
  }

  readonly #told = (keys: readonly string[] | null, by: object | null): void => {
    if (by !== this && this.#hearing !== 'nothing') this.#listener?.onChanged(keys)
  }

  #token(): string {
    return `${this.#name}${this.#leases++}`
  }

  async #call<T>(name: TierCall, keys: readonly string[], work: () => T): Promise<T> {
    this.calls.push({ name, keys })
    await this.before(name, keys)
    const result = work()
    await this.after(name, keys)
    return result
  }
}

function keysOf(list: readonly { key: string }[]): string[] {
  return list.map(({ key }) => key)
}
