import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { type Cacheable, mayKeep } from './hono-rules.ts'

/** An answer as it is cached. */
export interface Kept {
  status: number
  headers: [name: string, value: string][]
  /** Text, or the bytes in base64. */
  body: string
  base64?: true
  /** Wall clock, ms since 1970. */
  storedAtMs: number
}

/** What belongs to one connection or one moment, not to the answer (RFC 9110, 7.6.1). */
const NOT_KEPT = new Set([
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade', 'content-length', 'cache-status'],
])

/** True for what {@linkcode keep} has made; anything may lie under a key. */
export function isKept(value: unknown): value is Kept {
  const { status, headers, body, storedAtMs } = (value ?? {}) as Partial<Kept>
  return (
    typeof status === 'number' && Array.isArray(headers) && typeof body === 'string' && typeof storedAtMs === 'number'
  )
}

/**
 * The answer in its cached form, or, if it may not be kept, the answer itself, as far as it was read and with all that is still to
 * come. @throws what its body throws
 */
export async function keep(answer: Response, rules: Cacheable, nowMs: () => number): Promise<Kept | Response> {
  if (!mayKeep(answer, rules)) return answer
  const bytes = await readUpTo(answer, rules.maxBodyBytes)
  if (bytes instanceof Response) return bytes
  const named = new Set((answer.headers.get('connection') ?? '').split(',').map((name) => name.trim().toLowerCase()))
  const headers = [...answer.headers].filter(([name]) => !NOT_KEPT.has(name) && !named.has(name))
  if (!answer.headers.has('etag')) {
    headers.push(['etag', `W/"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`])
  }
  const { status } = answer
  const text = utf8Of(bytes)
  const body = text === null ? { body: Buffer.from(bytes).toString('base64'), base64: true as const } : { body: text }
  return { status, headers, ...body, storedAtMs: nowMs() }
}

export function bytesOf({ body, base64 }: Kept): Uint8Array<ArrayBuffer> {
  return base64 ? new Uint8Array(Buffer.from(body, 'base64')) : new TextEncoder().encode(body)
}

/** The headers, as a list that may be changed. */
export function pairsOf({ headers }: Kept): [string, string][] {
  return headers.map(([name, value]) => [name, value])
}

/** The body; or a response that gives it, if it is longer than `maxBytes`. */
async function readUpTo(answer: Response, maxBytes: number): Promise<Uint8Array<ArrayBuffer> | Response> {
  if (answer.body === null) return new Uint8Array()
  const reader = answer.body.getReader()
  const chunks: Uint8Array[] = []
  let length = 0
  while (length <= maxBytes) {
    const { done, value } = await reader.read()
    if (done) return new Uint8Array(Buffer.concat(chunks))
    chunks.push(value)
    length += value.byteLength
  }
  const rest = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const chunk = chunks.shift()
      const { done, value } = chunk === undefined ? await reader.read() : { done: false, value: chunk }
      if (done || value === undefined) controller.close()
      else controller.enqueue(new Uint8Array(value))
    },
    cancel: (reason) => reader.cancel(reason),
  })
  return new Response(rest, { status: answer.status, statusText: answer.statusText, headers: answer.headers })
}

/** Null if it is no UTF-8, or would not come back as the same bytes. */
function utf8Of(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
}
