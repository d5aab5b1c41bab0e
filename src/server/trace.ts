import type { MiddlewareHandler } from 'hono'
import { traceIdOf } from '../job/trace.ts'
import type { ControlEnv } from './access/index.ts'

/** What a W3C `traceparent` says; null if it is not one. https://www.w3.org/TR/trace-context/#traceparent-header */
export function readTraceparent(header: string): { traceId: string; spanId: string } | null {
  const found = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/.exec(header)
  if (found === null) return null
  const [, version = '', traceId = '', spanId = '', more] = found
  // Later versions may say more; ff is none, and 00 is what it is.
  if (version === 'ff' || (version === '00' && more !== undefined)) return null
  return /^0+$/.test(traceId) || /^0+$/.test(spanId) ? null : { traceId, spanId }
}

/** Takes the caller's trace over, or begins one, and tells it in `x-trace-id`. */
export const trace: MiddlewareHandler<ControlEnv> = async (c, next) => {
  const caller = readTraceparent(c.req.header('traceparent') ?? '')
  const traceId = caller?.traceId ?? traceIdOf(undefined)
  c.set('traceId', traceId)
  c.set('parentSpanId', caller?.spanId)
  c.header('x-trace-id', traceId)
  await next()
}
