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
    cleanUp: async () => {},
  }
})
