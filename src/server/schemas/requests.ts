import { z } from '@hono/zod-openapi'
import { BOUNDS } from '../../config/fields.ts'
import { PREDICTORS } from '../../predict/types.ts'
import { JOB, JOB_STATUSES } from './answers.ts'
import {
  duration,
  fields,
  flag,
  name,
  names,
  number,
  oneOf,
  params,
  priority,
  queryNumber,
  strategy,
  text,
  texts,
  ttl,
} from './fields.ts'

const MAX_KEYS = 10_000

export const KeyRequest = fields({
  keys: texts(MAX_KEYS, 4096),
  priority: priority().optional(),
  strategy: strategy().optional(),
  ttl: ttl().optional().openapi({ description: 'Instead of the tasks’ own' }),
}).openapi('KeyRequest', { example: { keys: ['film:1', 'film:2'], priority: 100, ttl: '5m' } })

export const PatternRequest = fields({
  pattern: text(256).openapi({ description: 'A Redis-style glob' }),
  limit: number([1, MAX_KEYS, true]).optional().openapi({ description: 'Default 1000' }),
  priority: priority().optional(),
  strategy: strategy().optional(),
}).openapi('PatternRequest', { example: { pattern: 'film:1*', limit: 100 } })

export const PredictiveRequest = fields({
  limit: number([1, MAX_KEYS, true]).optional().openapi({ description: 'Default 50' }),
  windowMs: number([1000, 43_200_000, true])
    .optional()
    .openapi({ description: 'What scores are told for; the ranking is by prediction.window; default 1 h' }),
}).openapi('PredictiveRequest', { example: { limit: 50, windowMs: 3_600_000 } })

export const PredictQuery = fields({
  limit: queryNumber([1, MAX_KEYS, true]).optional().openapi({ description: 'Default 50' }),
  predictor: oneOf(PREDICTORS).optional().openapi({ description: 'Default: the configured one' }),
})

const selection = { tasks: names().optional(), tags: names().optional(), critical: flag().optional() }

export const RunRequest = fields({
  ...selection,
  params: params().optional(),
  dryRun: flag().optional().openapi({ description: 'Answer with the plan, and write nothing' }),
  explain: flag().optional().openapi({ description: 'With dryRun: also which keys come first, and why' }),
  wait: flag().optional().openapi({ description: 'Answer when the job has ended' }),
  count: number(BOUNDS.count).optional().openapi({ description: 'At most this many keys of each task' }),
  priority: priority().optional(),
  strategy: strategy().optional(),
  timeout: duration(BOUNDS.timeoutMs).optional().openapi({ description: 'Of the whole job' }),
}).openapi('RunRequest', {
  description: 'Without tasks, tags or critical: everything that is declared',
  example: { tags: ['catalog'], params: { limit: 20 }, wait: true },
})

export const JobsQuery = fields({
  limit: queryNumber([1, 200, true]).optional(),
  status: oneOf(JOB_STATUSES).optional(),
})

/** A job's id, as a path has it. */
export const JobPath = z.object({
  id: z
    .string()
    .regex(/^[\w-]{1,64}$/, 'the id of a job')
    .openapi({ example: JOB }),
})

/** Each with the name that the warmer has for it. */
export const ConfigChanges = fields({
  max_origin_rps: number(BOUNDS.maxOriginRps).optional(),
  concurrent_warmers: number(BOUNDS.concurrentWarmers).optional(),
  max_batch_size: number(BOUNDS.batchSize).optional(),
  default_ttl: duration(BOUNDS.ttlMs).optional(),
  origin_timeout: duration(BOUNDS.timeoutMs).optional(),
  retry_attempts: number(BOUNDS.retries).optional(),
  backoff_base: duration(BOUNDS.delayMs).optional(),
  emergency_threshold: duration(BOUNDS.timeoutMs).optional(),
  default_strategy: strategy().optional(),
  workers: number(BOUNDS.workers).optional(),
}).openapi('ConfigChanges', { example: { max_origin_rps: 50, origin_timeout: '2s' } })

export const ClearRequest = fields({
  pattern: text(256).optional(),
  task: text(256).optional(),
  dryRun: flag().optional(),
})
  .refine(({ pattern, task }) => (pattern === undefined) !== (task === undefined), 'exactly one of pattern and task')
  .openapi('ClearRequest', { example: { pattern: 'film:*', dryRun: true } })

export const StopRequest = fields({ reason: text(500).optional() }).openapi('StopRequest', {
  example: { reason: 'the database is being moved' },
})

export const ScheduleRequest = fields({
  name: name(),
  cron: text(256).optional().openapi({ description: 'Five or six fields' }),
  interval: number([1 / 60, 35_791, false])
    .optional()
    .openapi({ description: 'Minutes between two runs' }),
  time_zone: text(64).optional().openapi({ description: 'IANA name; default UTC' }),
  ...selection,
  predictive: flag().optional(),
  limit: number(BOUNDS.count).optional(),
  priority: priority().optional(),
  params: params().optional(),
  jitter_ms: number([0, 86_400_000, true]).optional(),
  ttl_ms: number(BOUNDS.ttlMs).optional().openapi({ description: 'Instead of the tasks’ own' }),
  catch_up: flag().optional().openapi({ description: 'After a start, run once for a run that was missed' }),
})
  .refine(({ cron, interval }) => (cron === undefined) !== (interval === undefined), 'exactly one of cron and interval')
  .openapi('ScheduleRequest', {
    example: { name: 'evening', cron: '30 17 * * *', time_zone: 'Europe/Berlin', tags: ['catalog'] },
  })

export const OptimizeRequest = fields({
  apply: flag().optional().openapi({ description: 'Register what is proposed' }),
  revert: flag().optional().openapi({ description: 'Instead: take back what was registered' }),
})
  .refine(({ apply, revert }) => !(apply === true && revert === true), 'either apply or revert')
  .openapi('OptimizeRequest', { example: { apply: true } })

export const SchedulePath = z.object({ name: name().openapi({ example: 'evening' }) })
