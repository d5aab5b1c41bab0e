import type { MiddlewareHandler } from 'hono'
import type { ControlEnv } from './access/index.ts'

/** What Bun's server, which is the environment of its requests, can be told of one. */
interface Patient {
  timeout?: (request: Request, seconds: number) => void
}

/** From the answer on: how long the connection may be silent, s. */
const IDLE_S = 60

/**
 * For what may work for long before it answers: the connection may be silent until then, and no longer. Behind the checks and
 * the body, so that nobody keeps connections open for nothing.
 */
export const patience: MiddlewareHandler<ControlEnv> = async (c, next) => {
  const server = c.env as Patient | undefined
  if (typeof server?.timeout !== 'function') return next()
  server.timeout(c.req.raw, 0)
  try {
    await next()
  } finally {
    server.timeout(c.req.raw, IDLE_S)
  }
}
