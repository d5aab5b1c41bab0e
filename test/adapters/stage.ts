import { type Context, Hono } from 'hono'
import { type CacheResponsesOptions, cacheResponses } from '../../src/adapters/hono.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeCache } from './fake-cache.ts'

/** An app with one cached route; `answer` is its handler. */
export function stage(
  answer: (c: Context, call: number) => Response | Promise<Response>,
  options: Partial<CacheResponsesOptions> = {},
) {
  const clock = new FakeClock()
  const cache = new FakeCache(clock)
  const app = new Hono()
  const calls = { count: 0 }
  app.use('/films/*', cacheResponses({ cache, clock, key: 'page:{path}:{query}', ttl: '1m', ...options }))
  app.all('/films/:id', (c) => answer(c, ++calls.count))
  const get = (path = '/films/1', headers: Record<string, string> = {}, method = 'GET') =>
    Promise.resolve(app.request(path, { headers, method }))
  return { app, cache, clock, calls, get }
}

/** What the middleware says that it did. */
export const statusOf = (response: Response) => response.headers.get('cache-status')
