import { createHash } from 'node:crypto'
import type { Context } from 'hono'
import { isPrewarmError } from '../errors.ts'
import { keyTemplate } from '../keyspace/template.ts'

/** The key of a request, or null: not cached. */
export type KeyOf = (c: Context) => string | null | Promise<string | null>

/** The longest text of `vary` that stands in a key as it is. */
const MAX_VARY_LENGTH = 100

/**
 * What makes a request's key: route parameters by name, `{path}`, `{query}` (sorted by name; '-' if there is none), `{host}`.
 * A template without `{query}` gives no key to a request that has one.
 *
 * @throws {PrewarmError} `KEY_INVALID` for a wrong template
 */
export function keyOf(key: string | KeyOf, vary: readonly string[]): KeyOf {
  const base = typeof key === 'string' ? fromTemplate(key) : key
  return async (c) => {
    const text = await base(c)
    if (typeof text !== 'string' || text === '') return null
    return vary.length === 0 ? text : `${text}:${varyText(c.req.raw.headers, vary)}`
  }
}

function fromTemplate(source: string): KeyOf {
  const template = keyTemplate(source)
  const seesQuery = template.names.includes('query')
  return (c) => {
    const { searchParams, host } = new URL(c.req.url)
    searchParams.sort()
    const query = searchParams.toString()
    if (query !== '' && !seesQuery) return null
    const params = c.req.param() as Record<string, string | undefined>
    try {
      return template.format({ ...params, path: c.req.path, query: query === '' ? '-' : query, host })
    } catch (error) {
      if (isPrewarmError(error) && error.code === 'KEY_INVALID') return null
      throw error
    }
  }
}

function varyText(headers: Headers, vary: readonly string[]): string {
  const text = vary
    .map((name) => `${name}=${encodeURIComponent(headers.get(name) ?? '').replaceAll('*', '%2A')}`)
    .join('&')
  return text.length <= MAX_VARY_LENGTH ? text : createHash('sha256').update(text).digest('base64url')
}
