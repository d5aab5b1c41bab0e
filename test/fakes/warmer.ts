import type { ConfigDefinition, TaskDefinition } from '../../src/config/define.ts'
import type { LoadTask, Task } from '../../src/config/task.ts'
import { MemoryJobLog } from '../../src/coordination/memory-job-log.ts'
import { EventLog } from '../../src/events/event-log.ts'
import type { Schedules } from '../../src/facade.ts'
import { GainLog } from '../../src/gain/gain-log.ts'
import { NO_COSTS } from '../../src/job/strategy/types.ts'
import type { Metrics } from '../../src/metrics/prometheus.ts'
import { FunctionOrigin } from '../../src/origin/function.ts'
import { OriginGuard } from '../../src/origin/guard.ts'
import type { SqlClient } from '../../src/origin/sql-client.ts'
import type { Origin } from '../../src/origin/types.ts'
import { serveBatches } from '../../src/pool/executor.ts'
import { portPair } from '../../src/pool/inline.ts'
import { Pool } from '../../src/pool/pool.ts'
import { NO_DEMAND } from '../../src/predict/demand.ts'
import type { PredictionStatus } from '../../src/predict/types.ts'
import { poolSize } from '../../src/retune.ts'
import type { WorkerPort } from '../../src/runtime/types.ts'
import type { Snapshots } from '../../src/snapshot/snapshots.ts'
import { Warmer } from '../../src/warmer.ts'
import type { WarmerParts } from '../../src/warmer-parts.ts'
import { FakeClock } from './clock.ts'
import { FakeCommands } from './commands.ts'
import { MemoryLocks } from './locks.ts'
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
  events: EventLog
  jobLog: MemoryJobLog
  commands: FakeCommands
}

const SCHEDULES = { start: async () => {}, stop: async () => {}, settled: async () => {} } as unknown as Schedules
const NO_PREDICTION: PredictionStatus = {
  predictor: 'learned',
  windowMs: 900_000,
  foldedToMs: null,
  windows: 0,
  scores: [],
}
const METRICS: Metrics = {
  text: async () => ({ contentType: 'text/plain', text: '' }),
  recordRead() {},
  reads: { hits: 0, misses: 0 },
  close() {},
}

/** A warmer that runs `load` tasks inline, into memory, by a clock that a test moves. */
export function benchOf(
  tasks: Record<string, TaskDefinition>,
  {
    startWorker,
    demand = async () => NO_DEMAND,
    costs = async () => NO_COSTS,
    ...rest
  }: Partial<ConfigDefinition> &
    Partial<Pick<WarmerParts, 'demand' | 'costs'>> & { startWorker?: (clock: FakeClock) => WorkerPort } = {},
): Bench {
  const clock = new FakeClock()
  const store = new MemoryStore(clock)
  const config = configOf(tasks, { maxOriginRps: 1_000_000, ...rest })
  const current = { config }
  const client = (): SqlClient => new FakeSqlClient()
  const originOf = (task: Task): Origin => new FunctionOrigin(task as LoadTask, client)
  const inline = () => {
    const [ours, theirs] = portPair()
    serveBatches(theirs, clock, async () => ({
      tasks: current.config.tasks,
      store,
      random: () => 0.5,
      originOf,
      closeStream: async () => {},
      close: async () => {},
    }))
    return ours
  }
  const workerSetup = () => ({ ...SETUP, slots: poolSize(current.config.settings).slots })
  const { threads: size } = poolSize(config.settings)
  const pool = new Pool({ size, clock, setup: workerSetup(), startWorker: () => startWorker?.(clock) ?? inline() })
  const { maxOriginRps: maxRps, concurrentWarmers: maxConcurrent, emergencyThresholdMs } = config.settings
  const guardHooks: WarmerParts['guardHooks'] = { onFree: () => {}, onEmergency: () => {} }
  const guard = new OriginGuard({
    ...{ maxRps, maxConcurrent, emergencyThresholdMs, clock },
    onFree: () => guardHooks.onFree(),
    onEmergency: (change) => guardHooks.onEmergency(change),
  })
  const cleanedUp: string[] = []
  const cleanUps = ['first', 'second'].map((name) => async () => {
    cleanedUp.push(name)
    if (name === 'first') throw new Error('a clean-up that fails')
  })
  const events = new EventLog({ clock })
  const jobLog = new MemoryJobLog()
  const commands = new FakeCommands()
  const warmer = new Warmer({
    ...{ current, clock, store, client, originOf, guard, guardHooks, pool, cleanUps, events, jobLog, commands },
    instance: 'here',
    random: () => 0.5,
    locks: new MemoryLocks(),
    predictor: { predict: async () => [] },
    prediction: async () => NO_PREDICTION,
    demand,
    costs,
    gain: new GainLog({ commands, clock }),
    recordAccess() {},
    async recordReads() {},
    workerSetup,
    schedules: () => SCHEDULES,
    snapshots: () => ({}) as unknown as Snapshots,
    metrics: () => METRICS,
    service: null,
  })
  return { clock, store, warmer, pool, cleanedUp, events, jobLog, commands }
}
