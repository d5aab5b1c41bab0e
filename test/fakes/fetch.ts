import type { Fetch } from '../../src/origin/http.ts'

/** What an HTTP server would answer; an error is a connection that failed; `'never'` answers nothing until it is aborted. */
export type Answer = Response | Error | 'never'

/** A `fetch` whose answers a test gives; what it was asked is on record. */
export class FakeFetch {
  readonly requests: { url: string; method: string; headers: Headers; signal: AbortSignal }[] = []
  answer: (url: string) => Answer | Promise<Answer> = () => json({})

  readonly fetch: Fetch = async (url, { method = 'GET', headers, signal }) => {
    this.requests.push({ url, method, headers: new Headers(headers), signal: signal as AbortSignal })
    const answer = await this.answer(url)
    if (answer instanceof Response) return answer
    if (answer instanceof Error) throw answer
    return new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')), { once: true })
    })
  }
}

export function json(value: unknown): Response {
  return new Response(JSON.stringify(value), { headers: { 'content-type': 'application/json' } })
}

/** A body of `chunks` of 1 KB, without a length; `onCancel` when the reader does not want the rest. */
export function chunked(chunks: number, onCancel: () => void = () => {}): Response {
  let left = chunks
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left-- > 0) controller.enqueue(new Uint8Array(1024).fill(32))
      else controller.close()
    },
    cancel: onCancel,
  })
  return new Response(body)
}
