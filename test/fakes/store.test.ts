import { storeContract } from '../contract/store.contract.ts'
import { FakeClock } from './clock.ts'
import { MemoryStore } from './store.ts'

storeContract('MemoryStore', async () => {
  const clock = new FakeClock()
  const store = new MemoryStore(clock)
  return {
    store,
    advance: (ms) => clock.advance(ms),
    setFence: async (key, token) => store.setFence(key, token),
    fill: async (key, value) => store.fill(key, value, 60_000),
    drop: async (key) => store.drop(key),
    empty: async () => store.empty(),
    expiresAtMs: async (key) => store.expiresAtMs(key) ?? null,
    nowMs: () => clock.nowMs(),
    cleanUp: async () => {},
  }
})
