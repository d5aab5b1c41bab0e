import { locksContract } from '../contract/locks.contract.ts'
import { LockTable, MemoryLocks } from './locks.ts'

locksContract('MemoryLocks', async () => {
  const table = new LockTable()
  return {
    one: new MemoryLocks(table),
    other: new MemoryLocks(table),
    expire: async (name) => table.take(name),
    cleanUp: async () => {},
  }
})
