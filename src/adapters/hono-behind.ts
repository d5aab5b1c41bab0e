import { type Context, type ExecutionContext, type Handler, Hono } from 'hono'
import { matchedRoutes } from 'hono/route'
import { TrieRouter } from 'hono/router/trie-router'
import { findTargetHandler } from 'hono/utils/handler'

/** What the handlers behind the cache made of a request. */
export interface Answer {
  response: Response
  /** What a handler threw, also where an `onError` of its own has answered it. */
  error?: unknown
  /** It is for the outer app to answer: with its `onError`, or its `notFound`. */
  isOuters?: 'error' | 'notFound'
}

/** Runs the handlers behind the cache; rejects with what a handler threw that is no Error. */
export type Behind = (signal: AbortSignal) => Promise<Answer>

/**
 * The handlers that a request would reach behind `self`, in an app and with a context of their own: what they answer is for
 * everybody, and may be made when the request itself has long been answered. They see the URL, the headers that are named in
 * `vary`, validated data and `c.var`, and nothing else of the one who happens to ask; nor do headers that others have set on the
 * outer context reach the cache. Null if `self` is no handler of the app itself, but inside another (`every`, `some`, `except`):
 * what is behind it can't be known then.
 */
export function behind(c: Context, self: Handler, vary: readonly string[]): Behind | null {
  const routes = matchedRoutes(c)
  const at = c.req.routeIndex
  const here = routes[at]?.handler as Handler | undefined
  if (here === undefined || findTargetHandler(here) !== self) return null
  return async (signal) => {
    const answer: Omit<Answer, 'response'> = {}
    let inside: Context | undefined
    const app = new Hono({ router: new TrieRouter(), getPath: () => c.req.path })
    app.use((inner, next) => {
      inside = inner
      handOver(c, inner)
      return next()
    })
    for (const { method, path, handler } of routes.slice(at + 1)) app.on(method, path, handler as Handler)
    app.notFound(() => {
      answer.isOuters = 'notFound'
      return new Response(null, { status: 404 })
    })
    app.onError((error) => {
      answer.isOuters = 'error'
      answer.error = error
      return new Response(null, { status: 500 })
    })
    const headers = new Headers()
    for (const name of vary) {
      const value = c.req.raw.headers.get(name)
      if (value !== null) headers.set(name, value)
    }
    const request = new Request(c.req.url, { headers, signal })
    const response = await app.fetch(request, c.env, executionOf(c))
    const error = answer.error ?? inside?.error
    return { ...answer, response, ...(error === undefined ? {} : { error }) }
  }
}

function handOver(outer: Context, inner: Context): void {
  for (const [name, value] of Object.entries(outer.var)) inner.set(name, value)
  for (const target of ['json', 'form', 'query', 'header', 'param', 'cookie'] as const) {
    const data = outer.req.valid(target as never) as object | undefined
    if (data !== undefined) inner.req.addValidatedData(target, data)
  }
}

/** Reading it throws where there is none. */
function executionOf(c: Context): ExecutionContext | undefined {
  try {
    return c.executionCtx
  } catch {
    return undefined
  }
}
