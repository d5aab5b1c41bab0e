/** An HTTP origin that notes when each request came and how many were open at once. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { performance } from 'node:perf_hooks'

export interface CountingOrigin {
  readonly url: string
  /** When each request came, ms. */
  readonly cameMs: number[]
  /** Most requests that were open at once. */
  readonly mostOpen: number
  /** The largest number of requests that came within any second. */
  busiestSecond(): number
  stop(): Promise<void>
}

/** @param answer tells the n-th request (from 0) its status and how long it takes */
export async function startCountingOrigin(
  answer: (request: { n: number; path: string; times: number }) => { status?: number; delayMs?: number },
): Promise<CountingOrigin> {
  const cameMs: number[] = []
  const paths = new Map<string, number>()
  let open = 0
  let mostOpen = 0
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    const times = (paths.get(path) ?? 0) + 1
    paths.set(path, times)
    const n = cameMs.push(performance.now()) - 1
    mostOpen = Math.max(mostOpen, ++open)
    response.once('close', () => open--)
    const { status = 200, delayMs = 0 } = answer({ n, path, times })
    const end = () => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ path }))
    if (delayMs > 0) setTimeout(end, delayMs)
    else end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cameMs,
    get mostOpen() {
      return mostOpen
    },
    busiestSecond() {
      let busiest = 0
      for (let first = 0, last = 0; last < cameMs.length; last++) {
        while ((cameMs[last] as number) - (cameMs[first] as number) >= 1000) first++
        busiest = Math.max(busiest, last - first + 1)
      }
      return busiest
    },
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
