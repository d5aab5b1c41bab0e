import type { HttpServing } from '../runtime/types.ts'

/** Lets requests through from when it is opened until it is closed, and counts those that are being answered. */
export class Gate {
  readonly #app: HttpServing['fetch']
  #state: 'starting' | 'open' | 'closed' = 'starting'
  #inFlight = 0

  constructor(app: HttpServing['fetch']) {
    this.#app = app
  }

  /** Requests without an answer yet. A stream counts until its head is sent. */
  get inFlight(): number {
    return this.#inFlight
  }

  open(): void {
    if (this.#state === 'starting') this.#state = 'open'
  }

  /** From now on everything but /healthz is refused: a program that finishes its work is alive, and must not be killed for it. */
  close(): void {
    this.#state = 'closed'
  }

  readonly fetch = async (request: Request, env: unknown): Promise<Response> => {
    if (this.#state !== 'open') return refusal(request, this.#state)
    this.#inFlight++
    try {
      return await this.#app(request, env)
    } finally {
      this.#inFlight--
    }
  }
}

function refusal(request: Request, state: 'starting' | 'closed'): Response {
  const pathname = pathOf(request.url)
  const close = { connection: 'close' }
  if (pathname === '/healthz') return Response.json({ status: 'ok' }, { headers: close })
  const problem = {
    type: 'about:blank',
    title: 'Service Unavailable',
    status: 503,
    detail:
      state === 'starting'
        ? 'prewarm is starting: ask again'
        : 'prewarm is ending: it finishes its jobs and takes no more requests',
    instance: pathname,
    code: state === 'starting' ? 'NOT_READY' : 'STOPPED',
  }
  const headers = { ...close, 'content-type': 'application/problem+json', 'retry-after': '5' }
  return new Response(JSON.stringify(problem), { status: 503, headers })
}

/** Not by `URL`: where the Host header names no host, Bun's `url` is none, or has no host at all. */
function pathOf(url: string): string {
  return url.replace(/^\w+:\/\/[^/?#]*/, '').replace(/[?#].*$/s, '')
}
