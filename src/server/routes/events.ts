import { createRoute, z } from '@hono/zod-openapi'
import { streamSSE } from 'hono/streaming'
import { PrewarmError } from '../../errors.ts'
import type { EventType } from '../../events/types.ts'
import { type Deps, guarded, permit, problems, router } from '../describe.ts'
import { ALL_TYPES, Feed } from '../feed.ts'
import { RequestError } from '../problem.ts'
import { fields, queryNumber } from '../schemas/fields.ts'

/** Clients at once. */
const MAX_CLIENTS = 100
/** What a timer can hold, ms: a stream ends after this at the latest where there are tokens. */
const LONGEST_MS = 2_147_483_647

const expected = `types of events, separated by commas: ${ALL_TYPES.join(', ')}`
const isType = (name: string): name is EventType => (ALL_TYPES as readonly string[]).includes(name)

const EventsQuery = fields({
  types: z
    .string(expected)
    .refine((value) => value.split(',').every(isType), expected)
    .optional()
    .openapi({ example: 'job_ended,key' }),
  key_sample: queryNumber([0, 1, false])
    .optional()
    .openapi({ description: 'Share of the events of single keys; default 1' }),
  last_event_id: queryNumber([0, Number.MAX_SAFE_INTEGER, true])
    .optional()
    .openapi({ description: 'Resume after this event; as the Last-Event-ID header' }),
})

const eventsRoute = createRoute({
  method: 'get',
  path: '/warm/events',
  operationId: 'listen',
  summary: 'What happens, as Server-Sent Events',
  description:
    '`id`, `event` (the type), `data` (JSON). A comment at least every 5 s. `Last-Event-ID` resumes from a bounded log: ' +
    '`event: gap` says that something is lost, `event: lagged` that the client was too slow, and is cut off. ' +
    'It ends with the token.',
  tags: ['events'],
  request: { query: EventsQuery },
  responses: {
    200: { description: 'Events until the client leaves', content: { 'text/event-stream': { schema: z.string() } } },
    ...guarded,
    ...problems(400),
  },
})

/** GET /warm/events */
export function eventRoutes({ warmer, access, clock, random, signal }: Deps) {
  let clients = 0
  return router().openapi({ ...eventsRoute, middleware: permit(access, 'warm:read', 'other') }, (c) => {
    const { types, key_sample: keySample = 1, last_event_id: asked } = c.req.valid('query')
    const lastId = asked ?? headerId(c.req.header('last-event-id'))
    if (signal.aborted) throw new PrewarmError('STOPPED', 'It is shutting down: try again later')
    // Nobody would read the stream, or leave it.
    if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': 'text/event-stream' })
    if (clients >= MAX_CLIENTS) {
      c.header('retry-after', '10')
      throw new RequestError('NOT_READY', `${MAX_CLIENTS} clients are listening already: try again later`)
    }
    clients++
    const wanted = types?.split(',').filter(isType)
    const feed = new Feed({ events: warmer.events, clock, random, types: wanted, keySample, lastId })
    const close = () => feed.close()
    signal.addEventListener('abort', close, { once: true })
    const expiresAtMs = c.get('expiresAtMs')
    const takeBack =
      expiresAtMs === undefined ? () => {} : clock.after(Math.min(expiresAtMs - clock.nowMs(), LONGEST_MS), close)
    return streamSSE(c, async (stream) => {
      stream.onAbort(close)
      feed.onStall = () => stream.abort()
      try {
        for (let text = await feed.next(); text !== null && !stream.aborted; text = await feed.next()) {
          await stream.write(text)
        }
      } finally {
        clients--
        takeBack()
        close()
        signal.removeEventListener('abort', close)
      }
    })
  })
}

/** A browser sends back what it was given; anything else is of another process, so that it hears of a gap. */
function headerId(header: string | undefined): number | undefined {
  if (header === undefined || header === '') return undefined
  return /^\d{1,15}$/.test(header) ? Number(header) : Number.MAX_SAFE_INTEGER
}
