/** A value is changed in one process: for how long does another one still serve the old value from its memory? */
import { Redis } from 'ioredis'
import { createCache } from '../src/compose-cache.ts'
import { check, setting, target } from './support/check.ts'
import { quantiles } from './support/readers.ts'
import { openRedis } from './support/redis.ts'
import type { FromChild, Seen } from './support/staleness-child.ts'

const CHANGES = setting('BENCH_CHANGES', 500)
const KEY = 'stale:key'
/** What the origin holds. */
const ORIGIN = 'origin:n'

type Ways = 'tracking' | 'published'

/** A process that reads, and the difference between its clock and ours. */
async function startReader(url: string) {
  const told: FromChild[] = []
  let wake = () => {}
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/support/staleness-child.ts`, url, KEY, ORIGIN], {
    stdout: 'inherit',
    stderr: 'inherit',
    ipc(message: FromChild) {
      told.push(message)
      wake()
    },
  })
  /** The next message that `pick` wants; those before it are dropped. */
  const next = async <T>(pick: (message: FromChild) => T | undefined): Promise<T> => {
    for (;;) {
      for (let message = told.shift(); message !== undefined; message = told.shift()) {
        const picked = pick(message)
        if (picked !== undefined) return picked
      }
      check(child.exitCode === null, `the reader ended with ${child.exitCode}`)
      await new Promise<void>((resolve) => {
        wake = resolve
        void child.exited.then(() => resolve())
      })
    }
  }
  const isReady = (message: FromChild) => ('ready' in message ? true : undefined)
  await next(isReady)
  let best = { roundTripNs: Number.POSITIVE_INFINITY, aheadNs: 0 }
  const compareClocks = async () => {
    for (let times = 0; times < 50; times++) {
      const sentNs = Bun.nanoseconds()
      child.send('clock')
      const theirsNs = await next((message) => ('clockNs' in message ? message.clockNs : undefined))
      const roundTripNs = Bun.nanoseconds() - sentNs
      if (roundTripNs < best.roundTripNs) best = { roundTripNs, aheadNs: theirsNs - (sentNs + roundTripNs / 2) }
    }
  }
  await compareClocks()
  return {
    /** Resolves when the reader has seen `value`, and then has read it from memory many times. */
    async seen(value: number): Promise<Seen> {
      const seen = await next((message) =>
        'seen' in message && message.seen.value === value ? message.seen : undefined,
      )
      await next(isReady)
      return { ...seen, lastOldNs: seen.lastOldNs - best.aheadNs, firstNewNs: seen.firstNewNs - best.aheadNs }
    },
    uncertainMs: () => best.roundTripNs / 2e6,
    async stop() {
      child.send('end')
      check((await child.exited) === 0, `the reader ended with ${child.exitCode}`)
    },
  }
}

async function measure(way: Ways): Promise<void> {
  const redis = await openRedis()
  const other = new Redis(redis.url)
  // A server whose rules forbid CLIENT TRACKING is one that has not got it.
  let url = redis.url
  if (way === 'published') {
    await redis.client.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-client|tracking')
    url = url.replace('redis://', 'redis://app:secret@')
  }
  const cache = await createCache({ redis: url, env: {}, defaultTtl: '1h', refreshAhead: 0 })
  let n = 0
  await redis.client.set(ORIGIN, String(++n))
  const reader = await startReader(url)
  const clients = String(await redis.client.client('LIST')).split('\n')
  const tracking = clients.filter((line) => /\bflags=\S*t/.test(line)).length
  check(tracking > 0 === (way === 'tracking'), `${tracking} clients of ${clients.length} track keys, ${way} expected`)

  const changes: Record<string, (value: number) => Promise<unknown>> = {
    'cache.set': (value) => cache.set(KEY, { n: value }),
    'cache.delete': () => cache.delete(KEY),
    // Only the server itself can tell of that.
    ...(way === 'tracking' ? { "another program's DEL": () => other.del(KEY) } : {}),
  }
  for (const [name, change] of Object.entries(changes)) {
    const fromCall: number[] = []
    const fromAnswer: number[] = []
    for (let times = 0; times < CHANGES; times++) {
      const value = ++n
      await redis.client.set(ORIGIN, String(value))
      const told = reader.seen(value)
      const calledNs = Bun.nanoseconds()
      await change(value)
      const answeredNs = Bun.nanoseconds()
      const { lastOldNs, firstNewNs } = await told
      check(firstNewNs > calledNs - 1e6, `value ${value} was read before it was there: the clocks differ`)
      fromCall.push(Math.max(0, lastOldNs - calledNs) / 1e6)
      fromAnswer.push(Math.max(0, lastOldNs - answeredNs) / 1e6)
    }
    check(fromCall.length === CHANGES, `${fromCall.length} changes were seen`)
    for (const [since, took] of Object.entries({ 'since the call': fromCall, 'since its answer': fromAnswer })) {
      const { p50, p99, max } = quantiles(took)
      const shown = Object.entries({ p50, p99, max }).map(([at, ms]) => `${at} ${ms.toFixed(2)}`)
      console.log(`${way.padEnd(10)} ${name.padEnd(22)} ${since.padEnd(16)} ${shown.join(', ')} ms`)
      if (since === 'since its answer') target(`${way}, ${name}: p99 ${since}`, p99, '<', 10, ' ms')
    }
  }
  console.log(
    `${way}: ${CHANGES} changes of each kind; the two clocks agree to ${reader.uncertainMs().toFixed(3)} ms\n`,
  )
  await reader.stop()
  await cache.close()
  other.disconnect()
  await redis.stop()
}

await measure('tracking')
await measure('published')
