import { sharedTierContract } from '../contract/shared-tier.contract.ts'
import { sharedTierValuesContract } from '../contract/shared-tier-values.contract.ts'
import { FakeClock } from '../fakes/clock.ts'
import { MemoryTier } from '../fakes/memory-tier.ts'
import { MemoryTierState } from '../fakes/memory-tier-state.ts'
import type { TiersUnderTest } from '../support/shared-tier.ts'

const create = async (): Promise<TiersUnderTest> => {
  const clock = new FakeClock()
  const state = new MemoryTierState(clock)
  const heard: (readonly string[] | null)[] = []
  return {
    one: new MemoryTier({ state, listener: { onChanged: (keys) => void heard.push(keys) } }),
    other: new MemoryTier({ state }),
    heard,
    put: async (key, value, ttlMs) => state.put(key, value, ttlMs),
    drop: async (key) => state.drop(key),
    expireLease: async (key) => state.expireLease(key),
    flush: async () => state.flush(),
    until: async (check) => {
      if (!check()) throw new Error(`this does not hold: ${check}`)
    },
    pass: (ms) => clock.advance(ms),
    cleanUp: async () => {},
  }
}

sharedTierContract('MemoryTier', create)
sharedTierValuesContract('MemoryTier', create)
