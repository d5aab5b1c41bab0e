import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import type { Redis } from 'ioredis'
import { until } from '../support/warming.ts'
import { type Loaded, loadsKey, READY, type ReaderLine, type ReaderOrder } from './fixtures/reader.ts'

const READER = join(import.meta.dirname, 'fixtures', 'reader.ts')

export interface Reader {
  child: ChildProcess
  /** True once its reads are on their way. */
  readonly isReading: boolean
  /** What its reads brought. Rejects if it ends without. */
  done: Promise<Record<string, Loaded | null>>
  /** Where each value came from, for `get`. */
  readonly tiers: string[]
}

/** Starts a process that waits for its channel. */
export function startReader(order: ReaderOrder): Reader {
  const child = spawn(process.execPath, [READER, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const state = { isReading: false, tiers: [] as string[] }
  const done = new Promise<Record<string, Loaded | null>>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (text) => {
      const line = JSON.parse(text) as ReaderLine
      if (line.state === 'reading') state.isReading = true
      else {
        state.tiers = line.tiers
        resolve(line.values)
      }
    })
    child.once('close', (code, signal) => reject(new Error(`a reader ended with ${code ?? signal}`)))
  })
  done.catch(() => {}) // it may be killed before anybody asks
  return {
    child,
    done,
    get isReading() {
      return state.isReading
    },
    get tiers() {
      return state.tiers
    },
  }
}

/** Resolves when as many readers, since the last call, wait for their channel. */
export async function allReady(redis: Redis, count: number): Promise<void> {
  await until(async () => Number(await redis.get(READY)) >= count, 60_000)
  await redis.del(READY)
}

/** How often each key was loaded. */
export async function loadsOf(redis: Redis, keys: string[]): Promise<number[]> {
  return (await redis.mget(keys.map(loadsKey))).map(Number)
}

/** Ends what is left of them. */
export async function endAll(readers: readonly Reader[]): Promise<void> {
  await Promise.all(
    readers.map(({ child }) => {
      if (child.exitCode !== null || child.signalCode !== null) return undefined
      const closed = new Promise((resolve) => child.once('close', resolve))
      child.kill('SIGKILL')
      return closed
    }),
  )
}
