import { getLogger } from '@logtape/logtape'
import type { Clock } from '../clock.ts'
import type { BatchEnd } from '../pool/member.ts'
import { NO_DEMAND } from '../predict/demand.ts'
import { KeySieve, type KeySieveOptions } from '../store/key-sieve.ts'
import { MemoryGuard } from '../store/memory-guard.ts'
import type { Store } from '../store/types.ts'
import type { MemoryReport } from '../types.ts'
import type { Lane } from './lane.ts'
import { memoryReport } from './left-out.ts'
import { presentKeys } from './tally.ts'
import type { Unit } from './unit.ts'
import { within } from './within.ts'

const log = getLogger(['prewarm'])

export interface MemoryGateOptions extends KeySieveOptions {
  store: Pick<Store, 'stats' | 'ttlsMs' | 'randomKeys' | 'heatOf'>
  clock: Clock
  settings: () => { guard: boolean; reserve: number }
  /** Told, once each, of what keeps it from guarding, or makes that hard. */
  onWarning?: ((text: string) => void) | undefined
}

/** Leave to send a lane's next batch. */
export interface Pass {
  /** Takes the batch from its lane. */
  take(): Unit
  /** The batch has ended; called after its lane has accounted for it. */
  end(end: BatchEnd): void
}

/** Keys of the first batch of a task whose size nobody knows, and what one of them is taken for, bytes. */
const FIRST_KEYS = 50
const FIRST_BYTES = 1024
/** Of what batches tell of their size the latest counts so much. */
const NEWEST = 0.3
/**
 * What is on its way takes memory as well, if only for a moment. So without room batches are small (this share of `maxmemory`,
 * though not below so many keys), and few at once.
 */
const TIGHT_SHARE = 0.001
const TIGHT_KEYS = 20
const TIGHT_BATCHES = 2
/** Keys that are sifted together. */
const WINDOW = 5000

/**
 * Lets lanes' batches go as far as Redis has room for them. Where it has none, keys go on that it holds already, and those that are
 * hotter than what it would drop for them; the others are left out. Of a query only what Redis holds is written then, and its
 * rest is left out as soon as one of its batches has brought nothing of that.
 */
export class MemoryGate {
  /** Asking again may help. */
  onChange: () => void = () => {}
  readonly #options: MemoryGateOptions
  readonly #guard: MemoryGuard
  readonly #sieve: KeySieve
  readonly #bytesPerKey = new Map<string, number>()
  /** What has a batch on its way that tells whether more may follow: tasks of unknown size, queries in a full Redis. */
  readonly #probing = new Set<string | Lane>()
  readonly #proven = new WeakSet<Lane>()
  /** Batches on their way that were sent without room. */
  #tight = 0
  #sifting: Lane | undefined
  /** Lanes whose keys can be sifted only when others have written; and those that could not be sifted. */
  readonly #parked = new Set<Lane>()
  readonly #unsifted = new Set<Lane>()
  /** Lanes that were let through with keys. */
  readonly #cleared = new Set<Lane>()
  readonly #evictedBefore = new Map<string, number | undefined>()

  constructor(options: MemoryGateOptions) {
    const { store, clock, settings, onWarning = () => {} } = options
    this.#options = options
    this.#guard = new MemoryGuard({
      ask: () => store.stats(),
      clock,
      reserve: () => settings().reserve,
      onChange: () => this.onChange(),
      onWarning,
    })
    this.#sieve = new KeySieve({ ...options, demand: () => within(options.demand, NO_DEMAND, clock) })
  }

  /** A job has batches to send. */
  begin(jobId: string): void {
    if (!this.#options.settings().guard || this.#evictedBefore.has(jobId)) return
    this.#evictedBefore.set(jobId, undefined)
    void this.#guard.begin().then(() => {
      if (this.#evictedBefore.has(jobId)) this.#evictedBefore.set(jobId, this.#guard.state?.evictedKeys)
    })
  }

  /** What is to be told of a job that has ended; null: it has left nothing out. */
  async end(jobId: string, lanes: readonly Lane[]): Promise<MemoryReport | null> {
    const evictedBefore = this.#evictedBefore.get(jobId)
    this.#evictedBefore.delete(jobId)
    for (const lane of lanes) for (const kept of [this.#parked, this.#unsifted, this.#cleared]) kept.delete(lane)
    if (lanes.every(({ leftOut, isCut }) => leftOut === 0 && !isCut)) return null
    await this.#guard.refresh()
    return memoryReport(lanes, this.#guard.state, evictedBefore)
  }

  /**
   * Leave to send the lane's next batch; or that it has to wait for something of its own, or that all have to. The lane may have
   * ended then: all that was left of it is left out.
   */
  ask(lane: Lane): Pass | 'waiting' | 'blocked' {
    // What is looked at must not be taken meanwhile.
    if (this.#sifting === lane) return 'waiting'
    if (!this.#options.settings().guard) return this.#pass(lane)
    if (this.#isParked(lane)) return 'waiting'
    const { name } = lane.task
    const known = this.#bytesPerKey.get(name)
    const most = known === undefined ? FIRST_KEYS : lane.batchSize
    const bytes = Math.min(most, lane.nextSize) * (known ?? FIRST_BYTES)
    const room = this.#guard.room(bytes)
    if (room === 'wait') return 'blocked'
    if (room === 'full') return this.#withoutRoom(lane)
    if (!this.#guard.isBounded) return this.#pass(lane)
    if (known !== undefined) return this.#pass(lane, { bytes })
    return this.#probing.has(name) ? 'waiting' : this.#pass(lane, { bytes, most, probe: name })
  }

  /** Until others have written what they were let through with, or have given it up. */
  #isParked(lane: Lane): boolean {
    if (!this.#parked.has(lane)) return false
    const isOver = this.#tight === 0 && this.#pendingBytes() === 0
    if (isOver) this.#parked.delete(lane)
    return !isOver
  }

  #withoutRoom(lane: Lane): Pass | 'waiting' | 'blocked' {
    if (this.#tight >= TIGHT_BATCHES) return 'waiting'
    const most = this.#tightKeys(lane)
    // What is replaced may be smaller than what replaces it: where nothing is dropped for that it must fit.
    const bytes = Math.min(most, lane.nextSize) * this.#sizeOf(lane.task.name)
    const refuses = this.#guard.state?.evictionPolicy === 'noeviction'
    const room = refuses ? this.#guard.room(bytes, true) : 'granted'
    if (room === 'wait') return 'blocked'
    if (room === 'granted') return this.#tightly(lane, { most, bytes: refuses ? bytes : 0 })
    lane.leaveOut()
    return 'waiting'
  }

  #tightly(lane: Lane, { most, bytes }: { most: number; bytes: number }): Pass | 'waiting' {
    const tight = { bytes, isTight: true }
    if (lane.cleared > 0) return this.#pass(lane, { ...tight, most: Math.min(lane.cleared, most) })
    if (this.#unsifted.has(lane)) return this.#pass(lane, { ...tight, onlyPresent: true, most })
    const keys = lane.upcoming(WINDOW)
    if (keys.length > 0) {
      if (this.#sifting === undefined) void this.#sift(lane, keys)
      return 'waiting'
    }
    if (lane.isByName || this.#proven.has(lane)) return this.#pass(lane, { ...tight, onlyPresent: true })
    if (this.#probing.has(lane)) return 'waiting'
    return this.#pass(lane, { ...tight, onlyPresent: true, probe: lane })
  }

  #tightKeys({ task }: Lane): number {
    const bytes = TIGHT_SHARE * (this.#guard.state?.maxMemoryBytes ?? 0)
    return Math.max(TIGHT_KEYS, Math.floor(bytes / this.#sizeOf(task.name)))
  }

  #sizeOf(task: string): number {
    return this.#bytesPerKey.get(task) ?? FIRST_BYTES
  }

  #pass(
    lane: Lane,
    {
      bytes = 0,
      most,
      onlyPresent = false,
      isTight = false,
      probe,
    }: { bytes?: number; most?: number; onlyPresent?: boolean; isTight?: boolean; probe?: string | Lane } = {},
  ): Pass {
    let settle = (_bytes: number) => {}
    return {
      take: () => {
        settle = this.#guard.take(bytes).settle
        if (isTight) this.#tight++
        if (probe !== undefined) this.#probing.add(probe)
        this.#unsifted.delete(lane)
        return { ...lane.take(most), onlyPresent }
      },
      end: (end) => {
        if (isTight) this.#tight--
        if (probe !== undefined) this.#probing.delete(probe)
        const bytesPerKey = this.#learn(lane.task.name, end)
        settle(end.status === 'done' ? bytesPerKey * end.report.keys.written : bytes)
        this.#parked.clear()
        if (onlyPresent && !lane.isByName && end.status === 'done') this.#prove(lane, end.report)
      },
    }
  }

  /** A batch of a query has shown whether Redis holds any of it. */
  #prove(lane: Lane, { keys, leftOut = 0 }: { keys: Parameters<typeof presentKeys>[0]; leftOut?: number }): void {
    if (presentKeys(keys) > 0) this.#proven.add(lane)
    else if (leftOut > 0) lane.leaveOut()
  }

  #learn(task: string, end: BatchEnd): number {
    const before = this.#bytesPerKey.get(task)
    const told = end.status === 'done' ? end.report.bytesPerKey : undefined
    if (told === undefined) return before ?? FIRST_BYTES
    this.#bytesPerKey.set(task, before === undefined ? told : before + NEWEST * (told - before))
    return told
  }

  async #sift(lane: Lane, keys: readonly string[]): Promise<void> {
    this.#sifting = lane
    try {
      const state = this.#guard.state
      if (state === undefined) throw new Error('Redis has not told of its memory')
      const { activeMs } = this.#guard
      const bytesPerKey = this.#sizeOf(lane.task.name)
      const pressure = { state, activeMs, bytesPerKey, pendingBytes: this.#pendingBytes() }
      const { count, stays } = await this.#sieve.sift(keys, pressure)
      if (lane.isEnded) return
      if (count === 0) this.#parked.add(lane)
      else lane.sift(count, (key) => stays.has(key))
      if (lane.cleared > 0) this.#cleared.add(lane)
    } catch (error) {
      log.warn('what Redis holds could not be looked at: {error}', { error })
      if (!lane.isEnded) this.#unsifted.add(lane)
    } finally {
      this.#sifting = undefined
      this.onChange()
    }
  }

  /** Of keys that were let through and not sent yet. */
  #pendingBytes(): number {
    let bytes = 0
    for (const lane of this.#cleared) {
      if (lane.isEnded) this.#cleared.delete(lane)
      bytes += lane.cleared * this.#sizeOf(lane.task.name)
    }
    return bytes
  }
}
