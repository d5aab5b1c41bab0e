import type { ChainableCommander } from 'ioredis'
import type { KeyHeat, StoreHeat } from './types.ts'

/** What this server can be asked for: it tells counters under an LFU policy, idle times under every other. */
export interface HeatQuestion {
  by: StoreHeat['by']
  /** It knows PEXPIRETIME (7.0 or later). */
  exact: boolean
}

/** Keys of one pipeline: while it carries them out, the server serves nobody else for longer than a few of them take. */
export const HEAT_CHUNK = 250

/** Asks of each key how hot it is and when it expires. None of these commands touches the key. */
export function addHeat(pipeline: ChainableCommander, keys: readonly string[], { by, exact }: HeatQuestion): void {
  pipeline.time()
  for (const key of keys) {
    pipeline.call('OBJECT', by === 'counter' ? 'FREQ' : 'IDLETIME', key)
    if (exact) pipeline.pexpiretime(key)
    else pipeline.pttl(key)
  }
}

type Replies = readonly [Error | null, unknown][]

/** The question that this server can answer instead; null: it has answered this one, or nothing would help. */
export function otherQuestion(replies: Replies, { by, exact }: HeatQuestion): HeatQuestion | null {
  for (const [error] of replies) {
    if (error === null) continue
    const wanted = / LFU maxmemory policy is (not )?selected/.exec(error.message)
    if (wanted !== null) {
      const other = wanted[1] === undefined ? 'counter' : 'idle'
      return other === by ? null : { by: other, exact }
    }
    if (exact && /unknown command/i.test(error.message)) return { by, exact: false }
    return null
  }
  return null
}

/** @throws the server's error, if it refused anything */
export function readHeat(replies: Replies, { by, exact }: HeatQuestion): { nowMs: number; keys: (KeyHeat | null)[] } {
  const values = replies.map(([error, value]) => {
    if (error !== null) throw error
    return value
  })
  const [seconds, micros] = values[0] as [string | number, string | number]
  const nowMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
  const keys: (KeyHeat | null)[] = []
  for (let at = 1; at < values.length; at += 2) {
    const heat = values[at] as number | null
    const expiry = Number(values[at + 1])
    // It may have expired between the two.
    if (heat === null || expiry === -2) keys.push(null)
    else {
      keys.push({
        counter: by === 'counter' ? Number(heat) : null,
        idleMs: by === 'idle' ? Number(heat) * 1000 : null,
        expiresAtMs: expiry < 0 ? null : exact ? expiry : nowMs + expiry,
      })
    }
  }
  return { nowMs, keys }
}
