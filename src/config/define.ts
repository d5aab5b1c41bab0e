import type { Sql } from 'postgres'
import type { Strategy } from '../job/strategy/types.ts'
import type { VersionValue } from '../keyspace/version.ts'
import type { Params, StrategyName, ValueSpec, WriteMode } from '../types.ts'
import type { ServiceDefinition } from './control.ts'
import type { Duration } from './duration.ts'
import type { WarmSetDefinition } from './warm-set.ts'

/** What a user's own functions receive. */
export interface OriginContext {
  /** postgres.js, connected to `database`. Values come as postgres.js gives them. */
  sql: Sql
  /** The task's parameters: its defaults, with what this run overrides. */
  // biome-ignore lint/suspicious/noExplicitAny: their types are the user's own
  params: any
  /** Aborts at the task's `timeoutMs`, at the job's deadline, and when the job is cancelled. */
  signal: AbortSignal
}

/** Anything that names a key: its placeholders' values, its only placeholder's value, or the whole key. */
export type KeyLike = Readonly<Record<string, unknown>> | string | number | bigint

/** `object | undefined` is what postgres.js calls a row. */
type Listed = Iterable<KeyLike | object | undefined> | AsyncIterable<KeyLike | object | undefined>

/** Lists the keys to warm, hottest first. */
export type Select = (context: OriginContext) => PromiseLike<Listed> | Listed

/** A zod object (anything with its `safeParse`), or plain defaults by name. */
export type ParamsDefinition = Params | { safeParse(input: unknown): unknown; shape?: unknown }

/** What every task declares, whatever its origin. */
export interface TaskOptions {
  /** Key template, such as `user:{id}:profile`. */
  key: string
  /** How long a value lives in the store, ms or text. @default defaultTtl ('1h') */
  ttl?: Duration
  /** Share of the TTL by which a key may expire early, 0 to 1, fixed per key. Never late. @default 0.1 */
  ttlJitter?: number
  /** Larger is warmer and runs first. 100+ is critical, 50+ important. @default 100 if `critical`, else 0 */
  priority?: number
  /** Another task, whose keys are parents of this one's: the strategy `breadth` warms them first. Absent: the `:` in the keys tell. */
  parent?: string
  /** Selected by `--critical`. @default false */
  critical?: boolean
  /** Selected by `--tag`. @default [] */
  tags?: readonly string[]
  /** Parameters with their defaults; each becomes a flag (`--limit 20`). @default {} */
  params?: ParamsDefinition
  /** Bound on one read from the origin, ms or text. @default originTimeoutMs (5000) */
  timeoutMs?: Duration
  /** Further tries after a failure that may pass. 0 to 20. @default retryAttempts (3) */
  retries?: number
  /** What a write does to a stored value. @default 'newer' if `version` is given, else 'overwrite' */
  mode?: WriteMode
  /** Column, property or function that tells a value's version: an integer or a time that only grows. */
  // biome-ignore lint/suspicious/noExplicitAny: the type of a value is the user's own
  version?: string | ((value: any) => VersionValue)
  /** Cron expression in UTC, kept by `prewarm serve` and the daemon; `schedules` has more to choose from. */
  schedule?: string
  /** Keys in a batch (rows in a page for `sql`). @default maxBatchSize (50), pageRows (1000) for `sql` */
  batchSize?: number
}

export interface SqlOptions extends TaskOptions {
  /**
   * `'hash'`: each column a field, in Postgres' text form. `{ column }`: that column as text. `'json'`, and the forms of other
   * cache libraries: an object.
   */
  value: Exclude<ValueSpec, 'string'>
  /** The columns of a hash or JSON value. @default all columns of the query */
  columns?: readonly string[]
  /**
   * SQL text with `:name` parameters (bound, never spliced), or a function that returns a tagged query. Named keys, and keys that
   * a cache reads, are looked for among the rows it gives with its default parameters.
   */
  // biome-ignore lint/suspicious/noExplicitAny: their types are the user's own
  query: string | ((sql: Sql, params: any) => unknown)
  /**
   * Order key, such as `['film_id']` or `['created_at desc', 'id']`. With it the query is split into ranges that any
   * worker can take; without it one worker reads it as a stream. Pays off when an index serves the order.
   */
  orderBy?: readonly string[]
}

export interface LoadOptions extends TaskOptions {
  /** {@linkcode ValueSpec} says what there is. @default 'json' */
  value?: ValueSpec
  /** The fields of a hash or JSON value. @default all */
  columns?: readonly string[]
  /** Lists the keys to warm, hottest first. Without it the task runs only for keys that are named. */
  select?: Select
  /**
   * Loads many keys at once. Returns a Map or an object from key to value, or an array in the keys' order.
   * A key without a value, or with `null`, is reported as failed with `ORIGIN_NO_VALUE`.
   */
  load: (keys: string[], context: OriginContext & { ids: Record<string, string>[] }) => PromiseLike<unknown> | unknown
}

export interface HttpOptions extends TaskOptions {
  /** {@linkcode ValueSpec} says what there is. @default 'json' */
  value?: ValueSpec
  /** The fields of a hash or JSON value. @default all */
  columns?: readonly string[]
  select?: Select
  /** http or https; `{name}` is a placeholder of the key, percent-encoded. */
  url: string
  /** @default 'GET' */
  method?: string
  headers?: Record<string, string>
  /** RFC 6901 pointer to the value in the JSON answer. @default '' (the whole answer) */
  pointer?: string
  /** Largest answer taken, in bytes. @default 1_048_576 */
  maxBytes?: number
}

export type TaskDefinition =
  | ({ kind: 'sql' } & SqlOptions)
  | ({ kind: 'load' } & LoadOptions)
  | ({ kind: 'http' } & HttpOptions)

/** TLS beyond what the URL says. Files are PEM. */
export interface TlsOptions {
  caFile?: string
  certFile?: string
  keyFile?: string
  /** @default true */
  rejectUnauthorized?: boolean
}

/** What `prewarm.config.ts` exports. */
export interface ConfigDefinition extends ServiceDefinition, WarmSetDefinition {
  /** `redis://` or `rediss://` URL. @default REDIS_URL, else an embedded server */
  redis?: string | undefined
  redisTls?: TlsOptions
  /** `postgres://` URL. @default DATABASE_URL, else an embedded server */
  database?: string | undefined
  databaseTls?: TlsOptions
  /** By name; a name is letters, digits, `-` and `_`. */
  tasks: Record<string, TaskDefinition>
  /** Web Workers; 0 runs everything in this thread. 0 to 64. @default min(4, cores) */
  workers?: number
  /** Requests a second that the origin may get. 0.1 to 1_000_000. @default 100 */
  maxOriginRps?: number
  /** Batches on their way at once, over all workers. 1 to 1000. @default 10 */
  concurrentWarmers?: number
  /** Keys in a batch of a per-key origin. 1 to 10_000. @default 50 */
  maxBatchSize?: number
  /** Rows in a page of a query. 1 to 10_000. @default 1000 */
  pageRows?: number
  /** TTL of tasks that give none. @default '1h' */
  defaultTtl?: Duration
  /** Bound on one read from the origin, of tasks that give none. @default '5s' */
  originTimeoutMs?: Duration
  /** Further tries after a failure that may pass, of tasks that give none. 0 to 20. @default 3 */
  retryAttempts?: number
  /** First step of the exponential backoff. @default 100 */
  backoffBaseMs?: Duration
  /** Origin latency (p95) above which warming pauses. @default 2000 */
  emergencyThresholdMs?: Duration
  /** `selective`, `breadth`, `priority`, or one of `strategies`. @default 'priority' */
  defaultStrategy?: StrategyName
  /** Strategies of your own, by name (letters, digits, `-` and `_`), besides the built-in ones. */
  strategies?: Record<string, Strategy>
  /** Bound on a whole job. @default '5m' */
  jobTimeoutMs?: Duration
  startup?: {
    /** Warm when the program starts. @default false */
    enabled?: boolean
    /** @default 500 */
    delayMs?: Duration
  }
}

/** Types a configuration; it is checked when it is loaded. */
export function defineConfig(definition: ConfigDefinition): ConfigDefinition {
  return definition
}

/** A task whose keys and values are the rows of one query. */
export function sql(options: SqlOptions): TaskDefinition {
  return { kind: 'sql', ...options }
}

/** A task whose values a function of yours loads, many keys at once. */
export function load(options: LoadOptions): TaskDefinition {
  return { kind: 'load', ...options }
}

/** A task whose values are fetched from an HTTP API, one request a key. */
export function http(options: HttpOptions): TaskDefinition {
  return { kind: 'http', ...options }
}
