import type { Clock } from '../../clock.ts'
import { PrewarmError } from '../../errors.ts'
import { type PublicAlgorithm, publicKey } from './keys.ts'

/** How old keys may become before they are looked for again. */
const FRESH_MS = 600_000
/** At most this often, whatever key a token names. */
const AGAIN_MS = 30_000
/** As long as there are no keys at all. */
const FIRST_AGAIN_MS = 5000
/** Keys are kept this long while no newer ones can be had; a key that was taken back must not work for ever. */
const STALE_MS = 86_400_000
const MAX_KEYS = 100

interface Named {
  kid: string | undefined
  key: CryptoKey
}

/** The public keys of a JWK Set, kept for 10 min. */
export class KeySet {
  readonly #read: () => Promise<string>
  readonly #algorithm: PublicAlgorithm
  readonly #clock: Pick<Clock, 'nowMs' | 'nowNs'>
  #keys: readonly Named[] = []
  #readAtNs = Number.NEGATIVE_INFINITY
  #triedAtNs = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined

  /** @param read the set's text; rejects if it can't be had */
  constructor(read: () => Promise<string>, algorithm: PublicAlgorithm, clock: Pick<Clock, 'nowMs' | 'nowNs'>) {
    this.#read = read
    this.#algorithm = algorithm
    this.#clock = clock
  }

  /**
   * The key that a token names; of a token that names none, the only key. Null: there is none.
   *
   * @throws {PrewarmError} `NOT_READY` when no keys can be had
   */
  async find(kid: string | undefined): Promise<CryptoKey | null> {
    if (this.#ageMs(this.#readAtNs) > FRESH_MS || this.#held(kid) === null) await this.#refresh()
    if (this.#ageMs(this.#readAtNs) > STALE_MS) {
      throw new PrewarmError('NOT_READY', 'The keys that tokens are checked with cannot be read: see control.jwt')
    }
    return this.#held(kid)
  }

  #held(kid: string | undefined): CryptoKey | null {
    if (kid === undefined) return this.#keys.length === 1 ? (this.#keys[0] as Named).key : null
    return this.#keys.find((one) => one.kid === kid)?.key ?? null
  }

  #refresh(): Promise<void> {
    const pauseMs = this.#keys.length === 0 ? FIRST_AGAIN_MS : AGAIN_MS
    if (this.#reading === undefined && this.#ageMs(this.#triedAtNs) >= pauseMs) {
      this.#triedAtNs = this.#clock.nowNs()
      this.#reading = this.#load().finally(() => {
        this.#reading = undefined
      })
    }
    return this.#reading ?? Promise.resolve()
  }

  /** Old keys stay if no new ones can be had. */
  async #load(): Promise<void> {
    try {
      const { keys } = JSON.parse(await this.#read()) as { keys?: unknown }
      if (!Array.isArray(keys)) return
      const found: Named[] = []
      for (const jwk of keys.slice(0, MAX_KEYS)) {
        const key = await publicKey(jwk, this.#algorithm)
        const { kid } = (jwk ?? {}) as { kid?: unknown }
        if (key !== null) found.push({ kid: typeof kid === 'string' ? kid : undefined, key })
      }
      this.#keys = found
      this.#readAtNs = this.#clock.nowNs()
    } catch {
      // What is held stays in force, up to STALE_MS.
    }
  }

  #ageMs(atNs: number): number {
    return (this.#clock.nowNs() - atNs) / 1e6
  }
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

const FETCH_TIMEOUT_MS = 5000
const MAX_BYTES = 256 * 1024

/** Fetches a JWK Set: no redirects, at most 256 KB, within 5 s. Rejects if that fails. */
export async function fetchKeys(url: string, fetch: Fetch, clock: Pick<Clock, 'after'>): Promise<string> {
  const abort = new AbortController()
  const late = new Promise<never>((_, reject) =>
    abort.signal.addEventListener('abort', () => reject(new Error('late'))),
  )
  const takeBack = clock.after(FETCH_TIMEOUT_MS, () => abort.abort())
  try {
    return await Promise.race([body(url, fetch, abort.signal), late])
  } finally {
    takeBack()
    abort.abort()
    late.catch(() => {})
  }
}

async function body(url: string, fetch: Fetch, signal: AbortSignal): Promise<string> {
  const headers = { accept: 'application/jwk-set+json, application/json' }
  const answer = await fetch(url, { headers, signal, redirect: 'error' })
  if (!answer.ok || answer.body === null) throw new Error(`status ${answer.status}`)
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  for await (const chunk of answer.body) {
    size += chunk.byteLength
    if (size > MAX_BYTES) throw new Error('too large')
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}
