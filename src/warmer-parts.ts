import type { Clock } from './clock.ts'
import type { Config } from './config/load.ts'
import type { Task } from './config/task.ts'
import type { Commands, JobLog, Locks, Predictor } from './coordination/types.ts'
import type { EventLog } from './events/event-log.ts'
import type { Schedules } from './facade.ts'
import type { GainLog } from './gain/gain-log.ts'
import type { TaskCosts } from './job/strategy/types.ts'
import type { ToldReads } from './learn/told.ts'
import type { Metrics } from './metrics/prometheus.ts'
import type { GuardOptions, OriginGuard } from './origin/guard.ts'
import type { SqlClient } from './origin/sql-client.ts'
import type { Origin } from './origin/types.ts'
import type { Pool } from './pool/pool.ts'
import type { WorkerSetup } from './pool/protocol.ts'
import type { Demand } from './predict/demand.ts'
import type { PredictionStatus } from './predict/types.ts'
import type { Snapshots } from './snapshot/snapshots.ts'
import type { Store } from './store/types.ts'
import type { Warmer } from './warmer.ts'

/** The configuration as it is now: it may be changed, or taken over from a file, while everything runs. */
export interface Current {
  config: Config
}

/** What only a service has: a program that is there for others, not for one run. */
export interface ServiceParts {
  /** Begins what it does by itself; called once the store is reached. */
  start(): Promise<void>
  /** Ends it; bounded. */
  stop(): Promise<void>
}

/** The concrete parts that `compose.ts` builds. */
export interface WarmerParts {
  current: Current
  instance: string
  clock: Clock
  random: () => number
  store: Store
  /** @throws {PrewarmError} `CONFIG_INVALID` if no database is configured */
  client: () => SqlClient
  originOf: (task: Task) => Origin
  guard: OriginGuard
  /** What the guard calls; the warmer sets them. */
  guardHooks: Required<Pick<GuardOptions, 'onFree' | 'onEmergency'>>
  pool: Pool
  /** What a new worker is given, by the configuration as it is now. */
  workerSetup: () => WorkerSetup
  events: EventLog
  jobLog: JobLog
  locks: Locks
  commands: Commands
  predictor: Predictor
  /** How well prediction does. @throws {PrewarmError} `STORE_UNREACHABLE` */
  prediction: () => Promise<PredictionStatus>
  /** How often keys are read now; never throws. */
  demand: () => Promise<Demand>
  /** What tasks' keys cost, as measured; never throws. */
  costs: () => Promise<TaskCosts>
  schedules: (warmer: Warmer) => Schedules
  snapshots: (warmer: Warmer) => Snapshots
  metrics: (warmer: Warmer) => Metrics
  /** Tells Redis what readers found and what was warmed. */
  gain: GainLog
  /** Counts a read of the application's. */
  recordAccess: (key: string, tier: 'memory' | 'redis' | 'origin') => void
  /** Counts reads that applications tell of. @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED` */
  recordReads: (reads: readonly ToldReads[]) => Promise<void>
  service: ((warmer: Warmer) => ServiceParts) | null
  /** Told what the user should know of: once each. */
  notice?: (text: string) => void
  /** Run at the end of `stop`, each even if another throws. */
  cleanUps: (() => Promise<void>)[]
}
