import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { check } from './check.ts'

/** Keys in the order in which they were asked for. */
export interface Trace {
  name: string
  /** First 12 digits of the file's sha256, or how it was made. */
  origin: string
  keys: string[]
}

/** Real traffic where it is, else made up; says which. */
export function* traces(): Iterable<Trace> {
  const shared = process.env.PREWARM_SHARED_DATA ?? resolve(import.meta.dir, '../../../shared/data')
  const folder = resolve(shared, 'traces')
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.csv.gz')) : []
  if (files.length === 0) {
    console.error(
      `${folder} has no *.csv.gz: traffic is made up here, which flatters warming (nothing goes out of fashion)`,
    )
    for (const exponent of [0.8, 1]) yield zipf(exponent)
    return
  }
  console.error(`traces from ${folder}`)
  for (const file of files.sort()) {
    const packed = readFileSync(resolve(folder, file))
    const lines = gunzipSync(packed).toString('utf8').trimEnd().split('\n')
    check(lines[0] === 'ts_ms,key', `${file} begins '${lines[0]}'`)
    yield {
      name: file.slice(0, -'.csv.gz'.length),
      origin: createHash('sha256').update(packed).digest('hex').slice(0, 12),
      keys: lines.slice(1).map((line) => line.slice(line.indexOf(',') + 1)),
    }
  }
}

/** Numbers from 0 to 1, the same ones for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** 100,000 requests for 50,000 keys; the n-th most popular is asked for as often as 1 / n^exponent. */
function zipf(exponent: number): Trace {
  const random = seeded(1)
  const sums: number[] = []
  for (let rank = 1; rank <= 50_000; rank++) sums.push((sums.at(-1) ?? 0) + rank ** -exponent)
  const total = sums.at(-1) as number
  const draw = () => {
    const wanted = random() * total
    let [low, high] = [0, sums.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] as number) < wanted) low = middle + 1
      else high = middle
    }
    return `key:${low}`
  }
  return { name: `zipf_${exponent}`, origin: 'seed 1', keys: Array.from({ length: 100_000 }, draw) }
}

/** The `count` keys that were asked for most often, most often first; equals by who came first. */
export function hottest(keys: readonly string[], count: number): string[] {
  const counts = new Map<string, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([key]) => key)
}
