// Public names, in the order of a key's route.

export type {
  CacheFacade,
  CacheObserver,
  CacheResult,
  EntryOptions,
  FilledBy,
  GetOptions,
  Load,
  LoadMissing,
  ReadTold,
  SetOptions,
  SetOutcome,
  Tier,
  WrapOptions,
} from './cache/types.ts'
export type { WarmerOptions } from './compose.ts'
export { createWarmer } from './compose.ts'
export type { Cache, CacheOptions } from './compose-cache.ts'
export { createCache } from './compose-cache.ts'
export { BunCacheWarmer, performance } from './compose-warming.ts'
export type {
  ControlDefinition,
  JwtDefinition,
  RewarmDefinition,
  ScheduleDefinition,
  ServiceDefinition,
} from './config/control.ts'
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
export type { HotKey, JobRecord, ScheduleSpec } from './coordination/types.ts'
export type { ErrorCode, Failure } from './errors.ts'
export { isPrewarmError, PrewarmError } from './errors.ts'
export type { EventOf, EventType, WarmEvent } from './events/types.ts'
export type {
  Changes,
  ClearResult,
  EmergencyState,
  HaltResult,
  Matched,
  Readiness,
  Schedules,
  ScheduleView,
  WarmerFacade,
  WarmerStatus,
} from './facade.ts'
export type { JobHandle } from './job/job.ts'
export type {
  Explanation,
  QueryFacts,
  Ranking,
  Strategy,
  StrategyContext,
  TaskCost,
  TaskCosts,
} from './job/strategy/types.ts'
export type { KeyParams, KeyTemplate } from './keyspace/template.ts'
export { keyTemplate } from './keyspace/template.ts'
export type { CacheRead } from './metrics/prometheus.ts'
export type { Optimization, OptimizeOptions } from './optimize/types.ts'
export type { ControlOptions, ControlPlane } from './server/index.ts'
export { controlPlane } from './server/index.ts'
export type { LoadCounts, LoadEnd } from './snapshot/load.ts'
export type { LoadOutcome, LoadSnapshotOptions, SaveOptions, SaveOutcome, Snapshots } from './snapshot/snapshots.ts'
export type { Snapshot, SnapshotEntry, SnapshotHeader } from './snapshot/types.ts'
export type {
  ExplainedKey,
  JobRequest,
  JobResult,
  JobStatus,
  KeyCounts,
  LatencyNs,
  MemoryReport,
  Outcome,
  PlanEntry,
  PlanExplanation,
  StrategyName,
  TaskProgress,
  TaskResult,
} from './types.ts'
export { Warmer } from './warmer.ts'
export type { CacheWarmer, WarmCacheOptions, WarmingMetrics } from './warming/cache-warmer.ts'
export { createCacheWarmer } from './warming/cache-warmer.ts'
export type { MeasureSummary } from './warming/measure.ts'
export type { BunCacheWarmerOptions, WarmTask, WarmTaskResult } from './warming/task-options.ts'
