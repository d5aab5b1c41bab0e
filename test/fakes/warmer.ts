import type { ConfigDefinition, TaskDefinition } from '../../src/config/define.ts'
import type { LoadTask, Task } from '../../src/config/task.ts'
import { FunctionOrigin } from '../../src/origin/function.ts'
import { OriginGuard } from '../../src/origin/guard.ts'
import type { SqlClient } from '../../src/origin/sql-client.ts'
import type { Origin } from '../../src/origin/types.ts'
import { serveBatches } from '../../src/pool/executor.ts'
import { portPair } from '../../src/pool/inline.ts'
import { Pool } from '../../src/pool/pool.ts'
import type { WorkerPort } from '../../src/runtime/types.ts'
import { Warmer } from '../../src/warmer.ts'
import { FakeClock } from './clock.ts'
import { FakeSqlClient } from './sql-client.ts'
import { MemoryStore } from './store.ts'
import { configOf } from './tasks.ts'
import { SETUP } from './worker.ts'

export interface Bench {
  clock: FakeClock
  store: MemoryStore
  warmer: Warmer
  pool: Pool
  cleanedUp: string[]
}

/** A warmer that runs `load` tasks inline, into memory, by a clock that a test moves. */
export function benchOf(
  tasks: Record<string, TaskDefinition>,
  { startWorker, ...rest }: Partial<ConfigDefinition> & { startWorker?: (clock: FakeClock) => WorkerPort } = {},
): Bench {
  const clock = new FakeClock()
  const store = new MemoryStore(clock)
  const config = configOf(tasks, { maxOriginRps: 1_000_000, ...rest })
  const client = (): SqlClient => new FakeSqlClient()
  const originOf = (task: Task): Origin => new FunctionOrigin(task as LoadTask, client)
  const inline = () => {
    const [ours, theirs] = portPair()
    serveBatches(theirs, clock, async () => ({
      tasks: config.tasks,
      store,
      random: () => 0.5,
      originOf,
      closeStream: async () => {},
      close: async () => {},
    }))
    return ours
  }
  const setup = { ...SETUP, slots: config.settings.concurrentWarmers }
  const pool = new Pool({ size: 1, clock, setup, startWorker: () => startWorker?.(clock) ?? inline() })
  const { maxOriginRps: maxRps, concurrentWarmers: maxConcurrent } = config.settings
  const guard = new OriginGuard({ maxRps, maxConcurrent, clock })
  const cleanedUp: string[] = []
  const cleanUps = ['first', 'second'].map((name) => async () => {
    cleanedUp.push(name)
    if (name === 'first') throw new Error('a clean-up that fails')
  })
  const warmer = new Warmer({ config, clock, random: () => 0.5, store, client, originOf, guard, pool, cleanUps })
  return { clock, store, warmer, pool, cleanedUp }
}
