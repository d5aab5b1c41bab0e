import type { BatchReport } from '../batch.ts'
import type { Fence } from '../coordination/types.ts'
import type { Failure } from '../errors.ts'
import type { Work } from '../origin/types.ts'
import type { Params } from '../types.ts'

/** What a worker needs to build its own edges. It imports the configuration itself: functions don't cross threads. */
export interface WorkerSetup {
  configFile: string
  /** The main thread's environment, as far as it is prewarm's: what it may have been given instead of the process' own. */
  env: Readonly<Record<string, string>>
  redisUrl: string
  databaseUrl: string | undefined
  /** Batches it may have at once. */
  slots: number
  /** Database connections it may open, of each kind. */
  maxConnections: number
}

/** One batch on its way to a worker. Names and bounds; never rows or values. */
export interface BatchMessage {
  id: number
  task: string
  work: Work
  params: Params
  timeoutMs: number
  storeTimeoutMs: number
  backoffBaseMs: number
  ttlMs: number
  retries: number
  fence?: Fence | undefined
  /** Only keys that the store holds already are written. */
  onlyPresent?: boolean
  /** Keys whose single outcomes are wanted. */
  keyEvents: number
  requestIntervalMs: number
  traceId: string
}

export type ToWorker =
  | { type: 'setup'; setup: WorkerSetup }
  | { type: 'batch'; batch: BatchMessage }
  | { type: 'cancel'; id: number }
  | { type: 'closeStream'; task: string; stream: string }
  | { type: 'stop' }

export type FromWorker =
  | { type: 'ready' }
  | { type: 'unfit'; failure: Failure }
  | { type: 'beat' }
  | { type: 'writing'; id: number; keys: number }
  | { type: 'done'; id: number; report: BatchReport }
  | { type: 'failed'; id: number; failure: Failure; retryable: boolean }
  | { type: 'stopped' }

/** A worker says that it lives this often, ms. */
export const BEAT_MS = 500
