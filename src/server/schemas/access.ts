import { z } from '@hono/zod-openapi'
import { count } from './answers.ts'
import { fields, number, oneOf, text } from './fields.ts'

/** Entries of one request. */
export const MAX_READS = 10_000
/** Reasons of one answer. */
export const MAX_REASONS = 100

const at = 'a time as ISO 8601 text with a zone, or ms since 1970'
const listed = `a list of 1 to ${MAX_READS} reads`

const Reads = fields({
  key: text(4096),
  count: number([1, 1_000_000, true]).optional().openapi({ description: 'Reads of that key at once; default 1' }),
  at: z
    .union([z.number(at).min(0, at), z.iso.datetime({ offset: true, error: at })], at)
    .optional()
    .openapi({ description: 'When, within the last 25 hours: ISO 8601 with a zone, or ms since 1970; default now' }),
  tier: oneOf(['memory', 'redis', 'origin'])
    .optional()
    .openapi({ description: 'Where it was served from; origin is a miss. Without it the hit rate stays as it is' }),
})

export const AccessRequest = fields({
  reads: z.array(Reads, listed).min(1, listed).max(MAX_READS, listed),
}).openapi('AccessRequest', {
  example: {
    reads: [
      { key: 'film:1', count: 3, tier: 'redis' },
      { key: 'film:2', at: '2026-03-01T02:00:00.000Z' },
    ],
  },
})

export const AccessTaken = z
  .strictObject({
    success: z.literal(true),
    accepted: count().openapi({ description: 'Entries that count' }),
    rejected: count().openapi({ description: 'Entries that do not: the others do all the same' }),
    reasons: z
      .array(z.strictObject({ index: count(), reason: z.string() }))
      .max(MAX_REASONS)
      .openapi({ description: `Of the first ${MAX_REASONS} that were rejected, by their place in the list from 0` }),
  })
  .openapi('AccessTaken', {
    example: {
      success: true,
      accepted: 1,
      rejected: 1,
      reasons: [{ index: 1, reason: 'at is more than 25 hours ago' }],
    },
  })
