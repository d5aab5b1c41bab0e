/** The directives of a `Cache-Control` header, by lower-case name; '' where one has no argument. */
export type Directives = ReadonlyMap<string, string>

export function directivesOf(header: string | null): Directives {
  const found = new Map<string, string>()
  for (const [, name = '', quoted, plain = ''] of (header ?? '').matchAll(
    /([\w-]+)\s*(?:=\s*(?:"([^"]*)"|([^\s,]*)))?/g,
  ))
    found.set(name.toLowerCase(), quoted ?? plain)
  return found
}

/** Seconds of a directive as ms; a wrong number counts as 0, as RFC 9111 would have it. */
function msOf(directives: Directives, name: string): number | undefined {
  const text = directives.get(name)
  if (text === undefined) return undefined
  return /^\d+$/.test(text) ? Number(text) * 1000 : 0
}

/** What a request asks of a cache. */
export interface Wish {
  /** Neither read nor write. */
  noStore: boolean
  /** Only what is at most this old, ms; 0: a new answer. */
  maxAgeMs: number
  /** 504 rather than a new answer. */
  onlyIfCached: boolean
}

const NO_WISH: Wish = { noStore: false, maxAgeMs: Number.POSITIVE_INFINITY, onlyIfCached: false }

export function wishOf(headers: Headers, obeyed: boolean): Wish {
  if (!obeyed) return NO_WISH
  const header = headers.get('cache-control')
  if (header === null) return /\bno-cache\b/i.test(headers.get('pragma') ?? '') ? { ...NO_WISH, maxAgeMs: 0 } : NO_WISH
  const directives = directivesOf(header)
  return {
    noStore: directives.has('no-store'),
    maxAgeMs: directives.has('no-cache') ? 0 : (msOf(directives, 'max-age') ?? Number.POSITIVE_INFINITY),
    onlyIfCached: directives.has('only-if-cached'),
  }
}

/** Why a request goes past the cache, as `fwd` of RFC 9211 says it; null if it does not. */
export function bypassOf(request: Request): 'method' | 'bypass' | null {
  if (request.method !== 'GET' && request.method !== 'HEAD') return 'method'
  const { headers } = request
  return headers.has('authorization') || headers.has('range') || headers.has('upgrade') ? 'bypass' : null
}

/** For how long an answer says that a shared cache may keep it, ms. */
export function lifetimeMs(headers: Headers): number {
  const directives = directivesOf(headers.get('cache-control'))
  return msOf(directives, 's-maxage') ?? msOf(directives, 'max-age') ?? Number.POSITIVE_INFINITY
}

/** True if an answer forbids that it is served stale. */
export function mustRevalidate(headers: Headers): boolean {
  const directives = directivesOf(headers.get('cache-control'))
  return directives.has('must-revalidate') || directives.has('proxy-revalidate')
}

export interface Cacheable {
  statuses: ReadonlySet<number>
  /** Names of request headers that are part of the key, in lower case. */
  vary: readonly string[]
  maxBodyBytes: number
}

/** True if an answer may be kept for everybody; its body is not looked at. */
export function mayKeep({ status, headers }: Response, { statuses, vary, maxBodyBytes }: Cacheable): boolean {
  const directives = directivesOf(headers.get('cache-control'))
  return (
    statuses.has(status) &&
    !['private', 'no-store', 'no-cache'].some((name) => directives.has(name)) &&
    lifetimeMs(headers) > 0 &&
    !headers.has('set-cookie') &&
    !headers.has('content-range') &&
    !/^text\/event-stream\b/i.test(headers.get('content-type') ?? '') &&
    namesOf(headers.get('vary')).every((name) => vary.includes(name)) &&
    !(Number(headers.get('content-length')) > maxBodyBytes)
  )
}

/** The names of a `Vary` header, in lower case. */
export function namesOf(vary: string | null): string[] {
  return (vary ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')
}

/** True if the client has this very answer already. */
export function isKnown(request: Headers, answer: Headers): boolean {
  const tags = request.get('if-none-match')
  const etag = answer.get('etag')
  if (tags !== null) {
    const opaque = (tag: string) => tag.trim().replace(/^W\//, '')
    return (
      tags.trim() === '*' ||
      (etag !== null && (tags.match(/(?:W\/)?"[^"]*"/g) ?? []).map(opaque).includes(opaque(etag)))
    )
  }
  const since = Date.parse(request.get('if-modified-since') ?? '')
  return Date.parse(answer.get('last-modified') ?? '') <= since
}
