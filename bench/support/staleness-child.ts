/** Reads one key over and over from its memory, and tells when it last saw each value. Started by `cache-staleness.bench.ts`. */
import { Redis } from 'ioredis'
import { createCache } from '../../src/compose-cache.ts'

export interface Seen {
  value: number
  /** When the last read of the value before began that was served from memory, and when this one was first served; ns. */
  lastOldNs: number
  firstNewNs: number
}

export type FromChild = { clockNs: number } | { seen: Seen } | { ready: true }

const [url = '', key = '', originKey = ''] = process.argv.slice(2)
const redis = new Redis(url)
// Values do not expire here, so that only what it hears can end them.
const cache = await createCache({ redis: url, env: {}, defaultTtl: '1h', refreshAhead: 0, memory: { ttl: '1h' } })
const load = async () => ({ n: Number(await redis.get(originKey)) })
const tell = (message: FromChild) => process.send?.(message)

let isOver = false
process.on('message', (message) => {
  if (message === 'clock') tell({ clockNs: Bun.nanoseconds() })
  else if (message === 'end') isOver = true
})

let last = 0
let lastOldNs = 0
let inMemory = 0
let told = true
tell({ ready: true })
while (!isOver) {
  const beganNs = Bun.nanoseconds()
  const { value, tier } = await cache.read<{ n: number }>(key, { load })
  if (value !== undefined && value.n !== last) {
    const seen = { value: value.n, lastOldNs, firstNewNs: Bun.nanoseconds() }
    last = value.n
    inMemory = 0
    told = false
    tell({ seen })
  } else if (tier === 'memory') {
    lastOldNs = beganNs
    // From now on it would be stale if it were not told of the next change.
    if (++inMemory === 20 && !told) {
      told = true
      tell({ ready: true })
    }
  }
  await new Promise((resolve) => setImmediate(resolve))
}
await cache.close()
redis.disconnect()
process.exit(0)
