// Public names, in the order of a key's route.

export type { WarmerOptions } from './compose.ts'
export { createWarmer } from './compose.ts'
export type {
  ConfigDefinition,
  HttpOptions,
  KeyLike,
  LoadOptions,
  OriginContext,
  Select,
  SqlOptions,
  TaskDefinition,
  TaskOptions,
  TlsOptions,
} from './config/define.ts'
export { defineConfig, http, load, sql } from './config/define.ts'
export type { Duration } from './config/duration.ts'
export type { ErrorCode, Failure } from './errors.ts'
export { isPrewarmError, PrewarmError } from './errors.ts'
export type { JobHandle } from './job/job.ts'
export type { KeyParams, KeyTemplate } from './keyspace/template.ts'
export { keyTemplate } from './keyspace/template.ts'
export type {
  JobRequest,
  JobResult,
  JobStatus,
  KeyCounts,
  LatencyNs,
  Outcome,
  PlanEntry,
  TaskProgress,
  TaskResult,
} from './types.ts'
export { Warmer } from './warmer.ts'
