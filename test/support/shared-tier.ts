import { it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Ask, Fill, Filled, Found, HeldValue, Lease, SharedTier } from '../../src/cache/tier.ts'
import type { Encoded } from '../../src/codec/types.ts'

export interface TiersUnderTest {
  /** Two instances on the same server. */
  one: SharedTier
  other: SharedTier
  /** What `one` was told to have changed, as it came. */
  heard: (readonly string[] | null)[]
  /** As another program writes. Without a TTL it stays. */
  put(key: string, value: HeldValue, ttlMs?: number): Promise<void>
  /** As another program deletes. */
  drop(key: string): Promise<void>
  /** The key's lease runs out. */
  expireLease(key: string): Promise<void>
  /** The server forgets everything. */
  flush(): Promise<void>
  /** Resolves when `check` holds: what was sent to `one` arrives. */
  until(check: () => boolean): Promise<void>
  /** For so long, of the server's time. */
  pass(ms: number): Promise<void>
  cleanUp(): Promise<void>
}

export const text = (value: string): Encoded => ({ type: 'string', value })
export const ask = (key: string, wantsLease = true, form: Ask['form'] = 'string'): Ask => ({ key, form, wantsLease })
export const fillOf = (key: string, value: string | null, ttlMs = 60_000): Fill => ({
  ...{ key, ttlMs },
  encoded: value === null ? null : text(value),
})

export async function stateOf(tier: SharedTier, key: string, wantsLease = false): Promise<Found['state']> {
  return (await one(tier, ask(key, wantsLease))).state
}

export async function one(tier: SharedTier, asked: Ask): Promise<Found> {
  const found = await tier.read([asked])
  assertEquals(found.length, 1)
  return found[0] as Found
}

/** The text that is held; null if none is. */
export async function textAt(tier: SharedTier, key: string): Promise<string | null> {
  const found = await one(tier, ask(key, false))
  return found.state === 'held' && found.value.type === 'string' ? found.value.value : null
}

export async function leased(tier: SharedTier, key: string): Promise<Lease> {
  const found = await one(tier, ask(key))
  assert(found.state === 'leased', `'${key}' is ${found.state}`)
  return found.lease
}

export async function fill(tier: SharedTier, lease: Lease, value: Fill, replace = false): Promise<Filled['outcome']> {
  const [told] = await tier.fill([value], { lease, replace, filledBy: 'read' })
  return (told as Filled).outcome
}

export async function set(tier: SharedTier, key: string, value: string, version?: string): Promise<Filled['outcome']> {
  const [told] = await tier.set([{ key, ttlMs: 60_000, encoded: text(value), version }], { filledBy: 'unknown' })
  return (told as Filled).outcome
}

/** `it`, with tiers of its own, which are cleaned up. */
export function withTiers(create: () => Promise<TiersUnderTest>) {
  return (title: string, body: (tiers: TiersUnderTest) => Promise<void>) =>
    it(title, { timeout: 60_000 }, async () => {
      const tiers = await create()
      try {
        await body(tiers)
      } finally {
        await tiers.cleanUp()
      }
    })
}
