/** Reading through memory and Redis: what does it cost beside the caches people use today, and who loads how often in a stampede? */
import { measure } from 'mitata'
import { check, setting, target } from './support/check.ts'
import { makeProfiles, type Profile, profileKey } from './support/profiles.ts'
import { type BenchRedis, openRedis } from './support/redis.ts'
import {
  MEMORY_ITEMS,
  openBentocache,
  openCacheable,
  openCacheManager,
  openPrewarm,
  type Rival,
} from './support/rivals.ts'
import { median } from './support/rounds.ts'

/** Read in a circle they never are in memory, which holds the last {@linkcode MEMORY_ITEMS}. */
const CIRCLE = 20 * MEMORY_ITEMS
const HOT = MEMORY_ITEMS / 2
const MANY = 100
const STAMPEDE = 1000

const rounds = setting('BENCH_ROUNDS', 5)
const profiles = makeProfiles(CIRCLE + HOT + MEMORY_ITEMS)
const entries = profiles.map((profile) => [profileKey(profile.id), profile] as const)
const keys = entries.map(([key]) => key)
const hot = entries.slice(CIRCLE, CIRCLE + HOT)
const hotKeys = hot.map(([key]) => key)
const others = entries.slice(CIRCLE + HOT)
const hundred = hotKeys.slice(0, MANY)

/** Counts what a run did, so that nothing is timed that was not done. */
class Contestant {
  reads = 0
  misses = 0
  loads = 0
  stampedes = 0
  #at = 0

  constructor(
    readonly rival: Rival,
    readonly redis: BenchRedis,
  ) {}

  nextKey(among: readonly string[], length: number): string {
    this.#at = (this.#at + 1) % length
    return among[this.#at] as string
  }

  nextHundred(): string[] {
    this.#at = (this.#at + MANY) % CIRCLE
    return keys.slice(this.#at - (this.#at % MANY), this.#at - (this.#at % MANY) + MANY)
  }

  /** What must not be called: everything is cached. */
  loaded = async (): Promise<Profile> => {
    this.loads++
    return profiles[0] as Profile
  }

  count(value: unknown): void {
    this.reads++
    if (value === undefined || value === null) this.misses++
  }

  async countMany(asked: string[]): Promise<void> {
    this.reads += asked.length
    this.misses += asked.length - (await this.rival.getMany(asked))
  }

  /** All at the same moment; the origin answers in the next turn of the event loop. */
  async stampede(): Promise<void> {
    const key = `cold:${this.stampedes++}`
    const load = () => {
      this.loads++
      return new Promise<Profile>((resolve) => setImmediate(() => resolve(profiles[0] as Profile)))
    }
    for (const value of await Promise.all(Array.from({ length: STAMPEDE }, () => this.rival.getOrLoad(key, load)))) {
      this.count(value)
    }
  }

  /** Reads of Redis' own count. */
  async served(): Promise<{ commands: number; hits: number }> {
    const info = await this.redis.client.info('stats')
    const number = (name: string) => Number(info.match(new RegExp(`^${name}:(\\d+)`, 'm'))?.[1])
    return { commands: number('total_commands_processed'), hits: number('keyspace_hits') }
  }
}

interface Question {
  name: string
  /** Where the values are, to check it. */
  layer: 'memory' | 'redis' | 'origin'
  run(of: Contestant): Promise<void>
}

const questions: Question[] = [
  {
    name: 'in memory: get',
    layer: 'memory',
    run: async (of) => of.count(await of.rival.get(of.nextKey(hotKeys, HOT))),
  },
  {
    name: 'in memory: read through',
    layer: 'memory',
    run: async (of) => of.count(await of.rival.getOrLoad(of.nextKey(hotKeys, HOT), of.loaded)),
  },
  { name: `in memory: getMany ${MANY}`, layer: 'memory', run: (of) => of.countMany(hundred) },
  {
    name: 'in Redis: get, one after the other',
    layer: 'redis',
    run: async (of) => of.count(await of.rival.get(of.nextKey(keys, CIRCLE))),
  },
  {
    name: 'in Redis: read through, one after the other',
    layer: 'redis',
    run: async (of) => of.count(await of.rival.getOrLoad(of.nextKey(keys, CIRCLE), of.loaded)),
  },
  {
    name: `in Redis: read through, ${MANY} at once`,
    layer: 'redis',
    run: async (of) => {
      const reads = of.nextHundred().map((key) => of.rival.getOrLoad(key, of.loaded))
      for (const value of await Promise.all(reads)) of.count(value)
    },
  },
  { name: `in Redis: getMany ${MANY}`, layer: 'redis', run: (of) => of.countMany(of.nextHundred()) },
  { name: `nowhere: stampede of ${STAMPEDE} on one key`, layer: 'origin', run: (of) => of.stampede() },
]

/** `bun bench/cache-libraries.bench.ts getMany`: only questions whose name contains that. */
const asked = questions.filter(({ name }) => name.includes(process.argv[2] ?? ''))
check(asked.length > 0, `no question's name contains '${process.argv[2]}'`)

const opened = [
  openPrewarm,
  openCacheable,
  openCacheManager,
  openBentocache,
  (url: string) => openBentocache(url, false),
]
const contestants: Contestant[] = []
for (const open of opened) {
  const redis = await openRedis()
  contestants.push(new Contestant(await open(redis.url), redis))
}

for (const { rival, redis } of contestants) {
  await rival.fill(entries)
  const held = await redis.client.dbsize()
  check(held >= entries.length, `${rival.name} left ${held} keys in Redis, expected ${entries.length}`)
  for (let id = 0; id < CIRCLE && rival.memoryOnly !== true; id += CIRCLE / 50) {
    const value = await rival.getOrLoad(profileKey(id), () =>
      Promise.reject(new Error(`${profileKey(id)} is not cached`)),
    )
    check(Bun.deepEquals(value, profiles[id]), `${rival.name}: '${profileKey(id)}' is ${JSON.stringify(value)}`)
  }
}

/** Puts the hot keys into memory, by writing them (cache-manager's `get` does not promote) and by reading them. */
async function heat({ rival }: Contestant): Promise<void> {
  await rival.fill(hot)
  for (const key of hotKeys) await rival.get(key)
}

async function time(question: Question, of: Contestant): Promise<number> {
  if (question.layer === 'memory') await heat(of)
  // Pushes out of memory what will be read.
  else await of.rival.fill(others)
  Object.assign(of, { reads: 0, misses: 0, loads: 0 })
  const before = await of.served()
  const started = of.stampedes
  const { p50 } = await measure(() => question.run(of), { min_samples: 12, min_cpu_time: 150e6 })
  const after = await of.served()
  const who = `${of.rival.name}, ${question.name}`
  check(of.misses === 0, `${who}: ${of.misses} of ${of.reads} reads found nothing`)
  if (question.layer === 'origin') {
    check(of.loads >= of.stampedes - started, `${who}: ${of.loads} loads`)
  } else check(of.loads === 0, `${who}: ${of.loads} loads of what is cached`)
  if (question.layer === 'memory') {
    const commands = after.commands - before.commands
    check(commands < 20 + of.reads / 100, `${who}: Redis was asked ${commands} times for ${of.reads} reads`)
  }
  if (question.layer === 'redis') {
    const hits = after.hits - before.hits
    check(hits >= of.reads * 0.99, `${who}: Redis served ${hits} of ${of.reads} reads`)
  }
  return p50
}

console.log(`values of ${JSON.stringify(profiles[0]).length} bytes, ${MEMORY_ITEMS} items in memory, ${CIRCLE} in Redis, a Redis each;
median of ${rounds} rounds, taken in turns; the ratio is how many times as long as prewarm\n`)
for (const question of asked) {
  const took = contestants.map((): number[] => [])
  const loads = contestants.map(() => 0)
  const stampedes = contestants.map(() => 0)
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const at = (turn + round) % contestants.length
      const of = contestants[at] as Contestant
      if (of.rival.memoryOnly === true && question.layer !== 'memory') continue
      const started = of.stampedes
      took[at]?.push(await time(question, of))
      loads[at] = (loads[at] ?? 0) + of.loads
      stampedes[at] = (stampedes[at] ?? 0) + of.stampedes - started
    }
  }
  console.log(question.name)
  const ours = took[0] ?? []
  for (const [at, { rival }] of contestants.entries()) {
    const ns = took[at] ?? []
    if (ns.length === 0) continue
    const share = median(ns.map((value, round) => value / (ours[round] as number)))
    const perStampede =
      question.layer === 'origin' ? `  ${((loads[at] ?? 0) / (stampedes[at] ?? 0)).toFixed(2)} loads each` : ''
    console.log(
      `  ${rival.name.padEnd(30)} ${(median(ns) / 1000).toFixed(2).padStart(10)} µs ${share.toFixed(2).padStart(8)}x${perStampede}`,
    )
    if (at > 0) target(`    ahead of ${rival.name}`, share, '>=', 1)
  }
  console.log()
}

for (const { rival, redis } of contestants) {
  await rival.close()
  await redis.stop()
}
process.exit(0)
