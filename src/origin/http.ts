import { bounded } from '../clock.ts'
import type { HttpTask } from '../config/task.ts'
import { PrewarmError, redact, toFailure } from '../errors.ts'
import { isRetryable } from './failure.ts'
import { keyedResult } from './keyed.ts'
import { retryAfterMs } from './retry-after.ts'
import type { Origin, ReadFailure, ReadOptions, ReadResult, Work } from './types.ts'

/** What the HTTP origin needs of `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

type Sleep = (ms: number, signal: AbortSignal) => Promise<void>

/** What surrounds an {@linkcode HttpOrigin}. */
export interface HttpEdges {
  fetch: Fetch
  sleep: Sleep
  /** Wall clock, ms. */
  nowMs: () => number
  /** Fills the array with chance. @default crypto.getRandomValues */
  randomBytes?: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array
}

/** The origin answered 429 or 503, and when to come back: that is no failure. */
class AskedToWait extends PrewarmError {
  readonly retryAfterMs: number

  constructor(status: number, retryAfterMs: number, url: string) {
    super('ORIGIN_FAILED', `${url} answered ${status} and asks to wait ${Math.ceil(retryAfterMs / 1000)} s`, {
      detail: String(status),
    })
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * The origin of an `http` task: one request a key, one after the other, spaced as the permit says. An answer of 429 or 503
 * with `Retry-After` ends the read: that key and the rest come back to be asked for later.
 */
export class HttpOrigin implements Origin {
  readonly #task: HttpTask
  readonly #fetch: Fetch
  readonly #sleep: Sleep
  readonly #nowMs: () => number
  readonly #randomBytes: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array

  constructor(task: HttpTask, edges: HttpEdges) {
    this.#task = task
    this.#fetch = edges.fetch
    this.#sleep = edges.sleep
    this.#nowMs = edges.nowMs
    this.#randomBytes = edges.randomBytes ?? ((bytes) => crypto.getRandomValues(bytes))
  }

  async read(work: Work, options: ReadOptions): Promise<ReadResult> {
    if (work.kind !== 'keys') throw new TypeError(`An HTTP origin reads keys by name (task '${this.#task.name}')`)
    const values = new Map<string, unknown>()
    const failures: ReadFailure[] = []
    let requests = 0
    let pausedMs = 0
    let earliest = Number.NEGATIVE_INFINITY
    for (const [index, key] of work.keys.entries()) {
      const fromMs = this.#nowMs()
      if (earliest > fromMs) {
        await this.#sleep(earliest - fromMs, options.signal)
        pausedMs += Math.max(0, this.#nowMs() - fromMs)
      }
      if (options.signal.aborted) throw new PrewarmError('JOB_CANCELLED', `${this.#task.name} was cancelled`)
      earliest = this.#nowMs() + options.requestIntervalMs
      requests++
      try {
        values.set(key, await this.#get(key, options))
      } catch (error) {
        if (error instanceof PrewarmError && error.code === 'JOB_CANCELLED') throw error
        if (error instanceof AskedToWait) {
          failures.push(...work.keys.slice(index).map((one) => leftAlone(one, error)))
          break
        }
        failures.push({ key, failure: { ...toFailure(error, 'ORIGIN_FAILED'), key }, retryable: isRetryable(error) })
      }
    }
    const failed = new Set(failures.map((failure) => failure.key))
    const result = keyedResult(
      this.#task,
      work.keys.filter((key) => !failed.has(key)),
      (key) => values.get(key),
    )
    return { ...result, failures: [...failures, ...result.failures], requests, pausedMs }
  }

  async #get(key: string, { timeoutMs, signal, traceId }: ReadOptions): Promise<unknown> {
    const task = this.#task
    const url = expand(task.url, task.key.match(key) ?? {})
    // A query often holds a key of the API's.
    const shown = redact(url).replace(/\?.*$/s, '?…')
    const abort = new AbortController()
    const request = (async () => {
      const response = await this.#fetch(url, {
        method: task.method,
        headers: headersOf(task, this.#traceparent(traceId)),
        signal: AbortSignal.any([signal, abort.signal]),
      })
      if (response.status === 404 || response.status === 410 || response.status === 204) {
        await response.body?.cancel()
        return undefined
      }
      if (!response.ok) {
        await response.body?.cancel()
        const isBusy = response.status === 429 || response.status === 503
        const waitMs = isBusy ? retryAfterMs(response.headers.get('retry-after'), this.#nowMs()) : undefined
        if (waitMs !== undefined) throw new AskedToWait(response.status, waitMs, shown)
        throw new PrewarmError('ORIGIN_FAILED', `${shown} answered ${response.status}`, {
          detail: String(response.status),
        })
      }
      const text = await boundedText(response, task.maxBytes, shown)
      const isPlain = task.value === 'string' && task.pointer === ''
      return isPlain ? text : pointAt(parseJson(text, shown), task.pointer, shown)
    })()
    try {
      return await bounded(request, { timeoutMs, signal, what: `${task.method} ${shown}`, cancel: () => abort.abort() })
    } catch (error) {
      if (error instanceof PrewarmError) throw error
      const message = redact(error instanceof Error ? error.message : String(error))
      throw new PrewarmError('ORIGIN_UNREACHABLE', `Cannot reach ${shown}: ${message}`, { cause: error })
    }
  }

  async close(): Promise<void> {}

  /** https://www.w3.org/TR/trace-context/ : the job's trace, a span of the request's own, sampled. */
  #traceparent(traceId: string): string {
    const span = this.#randomBytes(new Uint8Array(8))
    // A span of zeros alone is none.
    if (span.every((byte) => byte === 0)) span[7] = 1
    return `00-${traceId}-${[...span].map((byte) => byte.toString(16).padStart(2, '0')).join('')}-01`
  }
}

/** A key that the origin would not serve now, or was not asked for since. */
function leftAlone(key: string, error: AskedToWait): ReadFailure {
  return { key, failure: { ...error.toJSON(), key }, retryable: true, retryAfterMs: error.retryAfterMs }
}

/** The task's own headers win, in whatever case they are written. */
function headersOf(task: HttpTask, traceparent: string): Headers {
  const headers = new Headers({ accept: 'application/json', traceparent })
  for (const [name, value] of Object.entries(task.headers)) headers.set(name, value)
  return headers
}

function expand(url: string, ids: Readonly<Record<string, string>>): string {
  return url.replace(/\{(\w+)\}/g, (place, name: string) =>
    name in ids ? encodeURIComponent(ids[name] as string) : place,
  )
}

async function boundedText(response: Response, maxBytes: number, url: string): Promise<string> {
  const tooLarge = () =>
    new PrewarmError(
      'VALUE_INVALID',
      `${url} answered with more than ${maxBytes} bytes: raise maxBytes if that is right`,
    )
  if (Number(response.headers.get('content-length') ?? 0) > maxBytes) {
    await response.body?.cancel()
    throw tooLarge()
  }
  const decoder = new TextDecoder()
  let text = ''
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += (chunk as Uint8Array).byteLength
    if (size > maxBytes) throw tooLarge()
    text += decoder.decode(chunk as Uint8Array, { stream: true })
  }
  return text + decoder.decode()
}

function parseJson(text: string, url: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new PrewarmError('VALUE_INVALID', `${url} answered with something that is not JSON: '${text.slice(0, 40)}'`)
  }
}

/** RFC 6901. */
function pointAt(document: unknown, pointer: string, url: string): unknown {
  let value = document
  for (const step of pointer.split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) {
      throw new PrewarmError('VALUE_INVALID', `${url} has nothing at pointer '${pointer}'`)
    }
    value = (value as Record<string, unknown>)[name]
  }
  return value
}
