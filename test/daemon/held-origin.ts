/** An origin whose values only grow, and which answers when the test says so. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { until } from '../support/warming.ts'

export interface Asked {
  /** Who asks. */
  pid: number
  /** What it will get: one more than whoever asked before. */
  value: number
  answer(): void
}

export interface HeldOrigin {
  readonly url: string
  readonly asked: readonly Asked[]
  /** Most requests that waited for an answer at the same time. */
  readonly mostOpen: number
  /** The next request that this was not told of yet, when it has come. */
  next(deadlineMs?: number): Promise<Asked>
  /** From now on all are answered at once. */
  free(): void
  stop(): Promise<void>
}

/** Callers name themselves by `?pid=`. */
export async function startHeldOrigin(): Promise<HeldOrigin> {
  const asked: Asked[] = []
  let told = 0
  let open = 0
  let mostOpen = 0
  let isFree = false
  const server = createServer((request, response) => {
    const pid = Number(new URL(request.url ?? '', 'http://origin').searchParams.get('pid'))
    const value = asked.length + 1
    mostOpen = Math.max(mostOpen, ++open)
    response.once('close', () => open--)
    asked.push({ pid, value, answer: () => void response.end(String(value)) })
    if (isFree) response.end(String(value))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    get mostOpen() {
      return mostOpen
    },
    async next(deadlineMs) {
      const at = told++
      await until(() => asked.length > at, deadlineMs)
      return asked[at] as Asked
    },
    free() {
      isFree = true
      for (const { answer } of asked) answer()
    },
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
