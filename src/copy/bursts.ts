import { PrewarmError } from '../errors.ts'
import type { CopyReport } from './report.ts'
import type { CopySource, CopyTarget, Dumped, RawKey, Restored, ServerFacts } from './types.ts'

export interface BurstsOptions {
  source: CopySource
  target: CopyTarget
  heat: ServerFacts['heat']
  /** What the target's clock is ahead of the source's, ms. */
  skewMs: number
  /** From before anything was read. */
  ticket: string
  /** Of the source and the target, for errors. */
  versions: readonly [source: string, target: string]
  /** Where it is counted. */
  report: CopyReport
}

/** Values that are held at once, and written in one script call, which blocks the target; a larger one goes alone. */
const MAX_BYTES = 2 * 1024 * 1024
/** Share of `maxmemory` that is filled. */
const FILLED = 0.95

interface Sized {
  key: RawKey
  bytes: number
}

/** Moves keys from the source to the target, as many at once as memory allows. */
export class Bursts {
  readonly #options: BurstsOptions

  constructor(options: BurstsOptions) {
    this.#options = options
  }

  /** Those of `keys` that the target has not, with what they take; counts the others. */
  async missing(keys: readonly RawKey[]): Promise<Sized[]> {
    const { source, target, report } = this.#options
    const present = await target.present(keys)
    const absent = keys.filter((_, at) => present[at] !== true)
    const sizes = await source.bytesOf(absent)
    const found = absent.flatMap((key, at) => (sizes[at] == null ? [] : [{ key, bytes: sizes[at] }]))
    report.present += keys.length - absent.length
    report.gone += absent.length - found.length
    report.left -= keys.length - found.length
    return found
  }

  /** Counts them as if they were copied. */
  wouldCopy(keys: readonly Sized[]): void {
    const { report } = this.#options
    report.copied += keys.length
    report.left -= keys.length
    for (const { bytes } of keys) report.bytes += bytes
  }

  /** @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED` */
  async copy(keys: readonly Sized[], signal: AbortSignal): Promise<'all' | 'full' | 'interrupted'> {
    const { report } = this.#options
    for (let at = 0; at < keys.length; ) {
      if (signal.aborted) return 'interrupted'
      const burst = await this.#next(keys, at)
      if (burst.length === 0 || (await this.#send(burst)) === 'full') {
        report.leftOut += report.left
        report.left = 0
        return 'full'
      }
      at += burst.length
    }
    return 'all'
  }

  /** prewarm's own records: counted nowhere. Returns how many were added. */
  async copyRecords(keys: readonly RawKey[]): Promise<number> {
    const { target, source, heat, ticket } = this.#options
    const dumped = (await source.dump(keys, heat)).filter((one) => one !== null)
    const restored = await target.restore(
      dumped.map((one) => this.#shifted(one)),
      ticket,
    )
    return restored.filter((one) => one === 'copied').length
  }

  /** The next keys that may be held at once and that the target has room for; none: it has not. */
  async #next(keys: readonly Sized[], at: number): Promise<Sized[]> {
    const { usedBytes, maxBytes } = await this.#options.target.memory()
    const room = maxBytes === 0 ? Number.POSITIVE_INFINITY : maxBytes * FILLED - usedBytes
    const burst: Sized[] = []
    let sum = 0
    for (const one of keys.slice(at)) {
      if (sum + one.bytes > room || (burst.length > 0 && sum + one.bytes > MAX_BYTES)) break
      sum += one.bytes
      burst.push(one)
    }
    return burst
  }

  async #send(burst: readonly Sized[]): Promise<'all' | 'full'> {
    const { source, target, heat, ticket, report } = this.#options
    const dumped = (
      await source.dump(
        burst.map(({ key }) => key),
        heat,
      )
    ).filter((one) => one !== null)
    report.gone += burst.length - dumped.length
    report.left -= burst.length
    let restored: Restored[]
    try {
      restored = await target.restore(
        dumped.map((one) => this.#shifted(one)),
        ticket,
      )
    } catch (error) {
      report.unknown += dumped.length
      throw error
    }
    const sizes = new Map(burst.map(({ key, bytes }) => [key, bytes]))
    for (const [at, one] of restored.entries()) this.#count(one, sizes.get((dumped[at] as Dumped).key) ?? 0)
    this.#assertReadable(restored)
    return restored.includes('full') ? 'full' : 'all'
  }

  #count(restored: Restored, bytes: number): void {
    const { report } = this.#options
    if (restored === 'copied') {
      report.copied++
      report.bytes += bytes
    } else if (restored === 'present') report.present++
    else if (restored === 'newer') report.newer++
    else if (restored === 'expired') report.gone++
    else if (restored === 'full') report.left++
    else {
      report.failed++
      report.firstError ??= { code: 'STORE_REFUSED', message: `The target refused a key: ${restored.failed}` }
    }
  }

  /** What the target can't read of one key it can read of none. */
  #assertReadable(restored: readonly Restored[]): void {
    for (const one of restored) {
      if (typeof one === 'string' || !/DUMP payload version or checksum/.test(one.failed)) continue
      const [from, to] = this.#options.versions
      const fix = 'copy to a server at least as new, or warm it through its loaders: `prewarm snapshot`'
      const what = `The target (version ${to}) can't read what the source (version ${from}) dumps`
      throw new PrewarmError('STORE_REFUSED', `${what}: ${fix}`, { detail: one.failed })
    }
  }

  #shifted(one: Dumped): Dumped {
    const { skewMs } = this.#options
    return one.expiresAtMs === null ? one : { ...one, expiresAtMs: one.expiresAtMs + skewMs }
  }
}
