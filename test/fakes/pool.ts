import { Pool, type PoolOptions } from '../../src/pool/pool.ts'
import type { FakeClock } from './clock.ts'
import { type Behaviour, FakeWorker, SETUP } from './worker.ts'

/** A pool of fake workers; the n-th one that it starts behaves as `behaviours[n]` says, or as the last of them. */
export function fakePool(clock: FakeClock, behaviours: Behaviour[] = [{}], more: Partial<PoolOptions> = {}) {
  const workers: FakeWorker[] = []
  const lost: string[] = []
  const pool = new Pool({
    size: 1,
    clock,
    setup: SETUP,
    startWorker() {
      const worker = new FakeWorker(clock, behaviours[Math.min(workers.length, behaviours.length - 1)])
      workers.push(worker)
      return worker.port
    },
    onLost: (reason) => lost.push(reason),
    ...more,
  })
  return { pool, workers, lost }
}
