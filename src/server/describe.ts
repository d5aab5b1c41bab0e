import { OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import type { Clock } from '../clock.ts'
import type { WarmerFacade } from '../facade.ts'
import type { Access, ControlEnv } from './access/index.ts'
import { invalid } from './invalid.ts'
import type { Plan } from './plan.ts'

/** What every group of routes is given. */
export interface Deps {
  warmer: WarmerFacade
  access: Access
  clock: Clock
  random: () => number
  /** Aborts when the app is to let go of its streams. */
  signal: AbortSignal
  /** Undefined: `dryRun` is refused. */
  plan: Plan | undefined
}

type Scope = Parameters<Access['needs']>[0]
type Bucket = Parameters<Access['limits']>[0]

/** First the token, then the limit: it counts by the token's subject. */
export function permit(access: Access, scope: Scope, bucket?: Bucket): MiddlewareHandler<ControlEnv>[] {
  return [access.needs(scope), ...(bucket === undefined ? [] : [access.limits(bucket)])]
}

/** A group of routes that refuses what its schemas refuse. */
export function router() {
  return new OpenAPIHono<ControlEnv>({
    defaultHook: (result) => {
      if (!result.success) throw invalid(result.target, result.error, (result as { data?: unknown }).data)
    },
  })
}

export function json<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { 'application/json': { schema } } }
}

export function body<Schema extends z.ZodType>(schema: Schema) {
  return { content: { 'application/json': { schema } }, required: true }
}

const code = z.string().regex(/^[A-Z_]+$/)

export const Problem = z
  .strictObject({
    type: z.string().openapi({ description: 'A URN for each code' }),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().openapi({ description: 'For people: what is wrong, and what to do' }),
    instance: z.string().openapi({ description: 'The path that was asked for' }),
    code: code.openapi({ description: 'Stable: compare this' }),
    trace_id: z.string().optional(),
    errors: z
      .array(
        z.strictObject({
          field: z.string(),
          value: z.union([z.string(), z.number(), z.boolean(), z.null()]),
          expected: z.string(),
        }),
      )
      .optional(),
    unmatched: z.array(z.string()).optional().openapi({ description: 'Keys that no task has' }),
    failures: z.array(z.strictObject({ code })).optional().openapi({ description: 'What is not ready' }),
  })
  .openapi('Problem', {
    description: 'RFC 9457 problem details',
    example: {
      type: 'urn:prewarm:problem:request-invalid',
      title: 'Bad Request',
      status: 400,
      detail: 'limit is 0, expected a whole number from 1 to 10000',
      instance: '/warm/pattern',
      code: 'REQUEST_INVALID',
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      errors: [{ field: 'limit', value: 0, expected: 'a whole number from 1 to 10000' }],
    },
  })

const PROBLEMS = {
  400: 'The request is malformed, or a field is unknown or out of bounds',
  401: 'There is no token, or not a good one',
  403: 'The token lacks the scope, or the caller may not reach this',
  404: 'There is no such thing',
  409: 'It is not in a state that allows this',
  413: 'The body is larger than 64 KB (POST /access: 1 MB)',
  415: 'The body is not application/json',
  422: 'The configuration has nothing that this request means',
  429: 'Too many requests: wait as long as Retry-After says',
  500: 'A failure that is not foreseen; the log says more',
  503: 'Redis or the origin cannot be reached, or it is not ready',
} as const

type ProblemStatus = keyof typeof PROBLEMS

/** Problem responses by status. */
export function problems<const Status extends ProblemStatus>(...statuses: Status[]) {
  const entries = statuses.map((status) => [
    status,
    { description: PROBLEMS[status], content: { 'application/problem+json': { schema: Problem } } },
  ])
  return Object.fromEntries(entries) as {
    [S in Status]: { description: string; content: { 'application/problem+json': { schema: typeof Problem } } }
  }
}

/** What any route can answer that needs a token. */
export const guarded = problems(401, 403, 429, 500, 503)
/** What any route can answer that takes a body. */
export const withBody = { ...guarded, ...problems(400, 413, 415) }

/** `object` as a request has it: absent rather than undefined. */
export function given<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never
}
