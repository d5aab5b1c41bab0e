import { systemClock } from '../../src/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { FunctionOrigin } from '../../src/origin/function.ts'
import { serveBatches } from '../../src/pool/executor.ts'
import { portPair } from '../../src/pool/inline.ts'
import { Pool } from '../../src/pool/pool.ts'
import type { WorkerSetup } from '../../src/pool/protocol.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import type { WorkerPort } from '../../src/runtime/types.ts'
import { RedisStore } from '../../src/store/redis.ts'
import { check } from './check.ts'

const FILE = `${import.meta.dir}/worker.config.ts`
const WORKER = new URL('../../workers/warm-worker.ts', import.meta.url)
const runtime = currentRuntime()
const clock = systemClock(runtime.nowNs)

/** A pool of one worker that can run the task `values`: a Web Worker, or the inline one of `workers: 0`. */
export async function startPool(kind: 'web' | 'inline', redisUrl: string): Promise<Pool> {
  const setup = { configFile: FILE, env: {}, redisUrl, databaseUrl: undefined, slots: 4, maxConnections: 1 }
  const startWorker = () => (kind === 'web' ? runtime.startWorker(WORKER, 'bench') : inlineWorker(setup))
  const pool = new Pool({ size: 1, clock, setup, startWorker })
  await pool.start()
  return pool
}

function inlineWorker({ configFile, redisUrl }: WorkerSetup): WorkerPort {
  const [ours, theirs] = portPair()
  serveBatches(theirs, clock, async () => {
    const { tasks } = await loadConfig(configFile, { env: {}, flags: {} }, runtime)
    const task = tasks.get('values')
    check(task?.kind === 'load', 'the task is missing')
    const origin = new FunctionOrigin(task, () => {
      throw new Error('no database here')
    })
    const store = new RedisStore({ url: redisUrl, clock })
    const close = () => store.close()
    return { tasks, store, random: Math.random, originOf: () => origin, closeStream: async () => {}, close }
  })
  return ours
}

let nextId = 0

/** Sends one batch of `keys` and throws unless all of them were written. */
export async function sendBatch(pool: Pool, keys: readonly string[]): Promise<void> {
  const bounds = { timeoutMs: 5000, storeTimeoutMs: 5000, backoffBaseMs: 100, requestIntervalMs: 0 }
  const limits = { ttlMs: 3_600_000, retries: 3, keyEvents: 0 }
  const work = { kind: 'keys', keys } as const
  const batch = { id: nextId++, task: 'values', work, params: {}, traceId: '0'.repeat(32), ...bounds, ...limits }
  const end = await pool.run(batch, 20_000).end
  check(end.status === 'done' && end.report.keys.written === keys.length, `a batch ended ${JSON.stringify(end)}`)
}
