import { PrewarmError } from '../errors.ts'
import { type KeyTemplate, keyTemplate } from '../keyspace/template.ts'
import { type NamedSql, namedSql } from '../origin/sql-text.ts'
import type { ValueSpec, WriteMode } from '../types.ts'
import type { HttpOptions, LoadOptions, Select, SqlOptions, TaskDefinition } from './define.ts'
import { parseDuration } from './duration.ts'
import { type ParamSpec, paramSpec } from './params.ts'
import type { Settings } from './settings.ts'

interface TaskBase {
  name: string
  key: KeyTemplate
  value: ValueSpec
  columns: readonly string[] | undefined
  ttlMs: number
  ttlJitter: number
  priority: number
  /** The task whose keys are parents of this one's. */
  parent: string | undefined
  critical: boolean
  tags: readonly string[]
  params: ParamSpec
  timeoutMs: number
  retries: number
  mode: WriteMode
  version: string | ((value: unknown) => unknown) | undefined
  schedule: string | undefined
  /** Keys in a batch, rows in a page. */
  batchSize: number
}

/** One key of the order that a query is split by. */
export interface OrderColumn {
  column: string
  descending: boolean
}

export interface SqlTask extends TaskBase {
  kind: 'sql'
  query: NamedSql | Exclude<SqlOptions['query'], string>
  orderBy: readonly OrderColumn[]
}
export interface LoadTask extends TaskBase {
  kind: 'load'
  select: Select | undefined
  load: LoadOptions['load']
}
export interface HttpTask extends TaskBase {
  kind: 'http'
  select: Select | undefined
  url: string
  method: string
  headers: Record<string, string>
  pointer: string
  maxBytes: number
}

/** A declared task with every default filled in: what the rest of the program works with. */
export type Task = SqlTask | LoadTask | HttpTask
/** A task whose batches are lists of keys. */
export type KeyedTask = LoadTask | HttpTask

/** Fills in the defaults of a definition that the schema has already accepted. */
export function toTask(name: string, definition: TaskDefinition, settings: Settings): Task {
  const critical = definition.critical ?? false
  const query =
    definition.kind === 'sql' && typeof definition.query === 'string' ? namedSql(definition.query) : undefined
  const base: TaskBase = {
    name,
    key: keyTemplate(definition.key),
    value: definition.value ?? 'json',
    columns: definition.columns,
    ttlMs: definition.ttl === undefined ? settings.defaultTtlMs : (parseDuration(definition.ttl) as number),
    ttlJitter: definition.ttlJitter ?? 0.1,
    priority: definition.priority ?? (critical ? 100 : 0),
    parent: definition.parent,
    critical,
    tags: definition.tags ?? [],
    params: paramSpec(name, definition.params, query?.names ?? []),
    timeoutMs:
      definition.timeoutMs === undefined ? settings.originTimeoutMs : (parseDuration(definition.timeoutMs) as number),
    retries: definition.retries ?? settings.retryAttempts,
    mode: definition.mode ?? (definition.version === undefined ? 'overwrite' : 'newer'),
    version: definition.version,
    schedule: definition.schedule,
    batchSize: definition.batchSize ?? (definition.kind === 'sql' ? settings.pageRows : settings.maxBatchSize),
  }
  switch (definition.kind) {
    case 'sql': {
      const orderBy = (definition.orderBy ?? []).map(orderColumn)
      return {
        ...base,
        kind: 'sql',
        query: query ?? (definition.query as Exclude<SqlOptions['query'], string>),
        orderBy,
      }
    }
    case 'load':
      return { ...base, kind: 'load', select: definition.select, load: definition.load }
    case 'http':
      return { ...base, kind: 'http', select: definition.select, ...httpDefaults(definition, base.key) }
  }
}

function httpDefaults(options: HttpOptions, key: KeyTemplate) {
  for (const [, name = ''] of options.url.matchAll(/\{(\w+)\}/g)) {
    if (key.names.includes(name)) continue
    throw new PrewarmError(
      'CONFIG_INVALID',
      `url has {${name}}, which the key '${key.source}' lacks: it has ${key.names.join(', ')}`,
    )
  }
  return {
    url: options.url,
    method: options.method ?? 'GET',
    headers: options.headers ?? {},
    pointer: options.pointer ?? '',
    maxBytes: options.maxBytes ?? 1_048_576,
  }
}

/** A task that reads the configured database, or may: a function of the user's can. */
export function readsDatabase({ kind }: Task, { databaseUrl }: Pick<Settings, 'databaseUrl'>): boolean {
  return kind === 'sql' || (kind === 'load' && databaseUrl !== undefined)
}

/** How a task's rows are read: in Postgres' text form, or as postgres.js gives them, where they become an object of JSON. */
export function rowForm({ value }: Pick<Task, 'value'>): 'text' | 'js' {
  return value === 'hash' || typeof value === 'object' ? 'text' : 'js'
}

/** `'created_at desc'` -> column and direction. */
export function orderColumn(text: string): OrderColumn {
  const found = /^(.+?)(?:\s+(asc|desc))?$/i.exec(text.trim())
  return { column: found?.[1] ?? text, descending: found?.[2]?.toLowerCase() === 'desc' }
}
