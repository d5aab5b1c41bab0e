import { z } from 'zod'
import { PrewarmError, redact } from '../errors.ts'
import { controlShape, serviceFieldsAt } from './control-schema.ts'
import { BOUNDS, duration, flag, fn, number, oneOf, text, texts, url } from './fields.ts'
import { checkParents, checkStrategy, strategies, strategy } from './strategies.ts'
import { warmSetFieldsAt, warmSetShape } from './warm-set-schema.ts'

const column = z.strictObject({ column: text }, "expected { column: 'name' }")
const nitro = z.custom<string>((given) => typeof given === 'string' && /^nitro:./.test(given))
const value = z.union(
  [oneOf('hash', 'json', 'string', 'keyv', 'bentocache', 'unstorage', 'cachified'), nitro, column],
  "expected 'hash', 'json', 'string', 'keyv', 'bentocache', 'unstorage', 'cachified', 'nitro:integrity' or { column: 'name' }",
)

const common = {
  key: text,
  ttl: duration(BOUNDS.ttlMs).optional(),
  ttlJitter: number([0, 1, false]).optional(),
  priority: number([-1_000_000, 1_000_000, false]).optional(),
  parent: text.optional(),
  critical: flag.optional(),
  tags: texts.optional(),
  params: z
    .custom<object>(
      (given) => typeof given === 'object' && given !== null && !Array.isArray(given),
      'expected defaults by name, or a zod object',
    )
    .optional(),
  timeoutMs: duration(BOUNDS.timeoutMs).optional(),
  retries: number(BOUNDS.retries).optional(),
  mode: oneOf('overwrite', 'add', 'newer').optional(),
  version: z
    .custom(
      (given) => (typeof given === 'string' && given !== '') || typeof given === 'function',
      'expected a column or a function',
    )
    .optional(),
  schedule: text.optional(),
  batchSize: number(BOUNDS.batchSize).optional(),
  columns: texts.optional(),
}

const sqlTask = z.strictObject({
  kind: z.literal('sql'),
  ...common,
  value: z.union(
    [oneOf('hash', 'json', 'keyv', 'bentocache', 'unstorage', 'cachified'), nitro, column],
    "expected 'hash', 'json', 'keyv', 'bentocache', 'unstorage', 'cachified', 'nitro:integrity' or { column: 'name' }",
  ),
  query: z.custom(
    (given) => (typeof given === 'string' && given.trim() !== '') || typeof given === 'function',
    'expected SQL text or a function (sql, params) => sql`…`',
  ),
  orderBy: texts.optional(),
})
const loadTask = z.strictObject({
  kind: z.literal('load'),
  ...common,
  value: value.optional(),
  select: fn.optional(),
  load: fn,
})
const httpTask = z.strictObject({
  kind: z.literal('http'),
  ...common,
  value: value.optional(),
  select: fn.optional(),
  url: url('http://', 'https://'),
  method: oneOf('GET', 'HEAD', 'POST', 'PUT').optional(),
  headers: z
    .record(
      z.string(),
      z.custom<string>((given) => typeof given === 'string', 'expected text'),
      'expected texts by name',
    )
    .optional(),
  pointer: z
    .custom<string>(
      (given) => given === '' || (typeof given === 'string' && given.startsWith('/')),
      "expected a JSON pointer such as '/data/rate'",
    )
    .optional(),
  maxBytes: number([1, 1_073_741_824, true]).optional(),
})

const task = z
  .discriminatedUnion('kind', [sqlTask, loadTask, httpTask], 'expected sql({...}), load({...}) or http({...})')
  .refine((given) => given.mode !== 'newer' || given.version !== undefined, {
    path: ['version'],
    message: "expected a column or a function, because mode is 'newer'",
  })

const tls = z.strictObject(
  { caFile: text.optional(), certFile: text.optional(), keyFile: text.optional(), rejectUnauthorized: flag.optional() },
  'expected { caFile, certFile, keyFile, rejectUnauthorized }',
)

const startup = z.strictObject(
  { enabled: flag.optional(), delayMs: duration(BOUNDS.delayMs).optional() },
  'expected { enabled, delayMs }',
)

/** Empty, as an environment variable that is set to nothing: as if absent. */
const orEmpty = (schema: z.ZodType<string>) =>
  z.custom<string>((given) => given === '' || schema.safeParse(given).success, {
    error: (issue) => schema.safeParse(issue.input).error?.issues[0]?.message,
  })

const config = z.strictObject(
  {
    redis: orEmpty(url('redis://', 'rediss://')).optional(),
    redisTls: tls.optional(),
    database: orEmpty(url('postgres://', 'postgresql://')).optional(),
    databaseTls: tls.optional(),
    tasks: z.record(
      z.string().regex(/^[A-Za-z][\w-]*$/, "expected a task name of letters, digits, '-' and '_'"),
      task,
      'expected tasks by name',
    ),
    workers: number(BOUNDS.workers).optional(),
    maxOriginRps: number(BOUNDS.maxOriginRps).optional(),
    concurrentWarmers: number(BOUNDS.concurrentWarmers).optional(),
    maxBatchSize: number(BOUNDS.batchSize).optional(),
    pageRows: number(BOUNDS.batchSize).optional(),
    defaultTtl: duration(BOUNDS.ttlMs).optional(),
    originTimeoutMs: duration(BOUNDS.timeoutMs).optional(),
    retryAttempts: number(BOUNDS.retries).optional(),
    backoffBaseMs: duration(BOUNDS.delayMs).optional(),
    emergencyThresholdMs: duration(BOUNDS.timeoutMs).optional(),
    defaultStrategy: text.optional(),
    strategies: strategies.optional(),
    jobTimeoutMs: duration(BOUNDS.timeoutMs).optional(),
    startup: startup.optional(),
    ...controlShape,
    ...warmSetShape,
  },
  'expected defineConfig({ ... })',
)

/** What one field says must fit what others say. */
const whole = config.superRefine((given, context) => {
  checkStrategy(given, context)
  checkParents(given.tasks, context)
})

/**
 * Checks a configuration.
 *
 * @throws {PrewarmError} `CONFIG_INVALID` with a line for each mistake: its path, its value, what was expected
 */
export function checkConfig(given: unknown): void {
  const checked = whole.safeParse(given)
  if (checked.success) return
  const lines = checked.error.issues.flatMap((issue) => issueLines(issue, given))
  throw new PrewarmError('CONFIG_INVALID', lines.join('\n'))
}

function issueLines(issue: z.core.$ZodIssue, given: unknown): string[] {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) => `${[...path, key].join('.')} is not a known field${suggestion(key, fieldsAt(path, given))}`,
    )
  }
  let current = given
  for (const step of issue.path) current = (current as Record<PropertyKey, unknown> | undefined)?.[step]
  const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message
  return [`${path.join('.') || 'config'} is ${show(current)}, ${message}`]
}

/** The fields that the object at `path` may have. */
function fieldsAt(path: readonly string[], given: unknown): string[] {
  const [top = '', name = ''] = path
  if (top === '') return Object.keys(config.shape)
  const ofService = serviceFieldsAt(path, given) ?? warmSetFieldsAt(top)
  if (ofService !== null) return ofService
  if (top === 'startup') return Object.keys(startup.shape)
  if (top === 'strategies') return Object.keys(strategy.shape)
  if (top !== 'tasks') return Object.keys(tls.shape)
  const { kind } = (given as { tasks: Record<string, { kind: string }> }).tasks[name] ?? {}
  const { shape } = kind === 'sql' ? sqlTask : kind === 'load' ? loadTask : httpTask
  return Object.keys(shape).filter((field) => field !== 'kind')
}

function suggestion(key: string, known: readonly string[]): string {
  const wanted = key.toLowerCase()
  const near = known
    .map((name) => ({
      name,
      far: distance(name.toLowerCase(), wanted),
      starts: sharesStart(name.toLowerCase(), wanted),
    }))
    .filter(({ far, starts }) => far <= 2 || starts)
    .sort((a, b) => Number(b.starts) - Number(a.starts) || a.far - b.far)
  return near[0] === undefined ? '' : `; did you mean '${near[0].name}'?`
}

function sharesStart(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a)
}

/** Levenshtein distance, for short names. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(
        (row[j] as number) + 1,
        (next[j - 1] as number) + 1,
        (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1),
      )
    }
    row = next
  }
  return row[b.length] as number
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${redact(value)}'`
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return String(value)
}
