import { storeContract } from '../contract/store.contract.ts'
import { FakeClock } from './clock.ts'
import { MemoryStore } from './store.ts'

storeContract('MemoryStore', async () => {
  const clock = new FakeClock()
  return { store: new MemoryStore(clock), advance: (ms) => clock.advance(ms), cleanUp: async () => {} }
})
