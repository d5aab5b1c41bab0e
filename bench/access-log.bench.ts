/** What does it cost a read to be noted in the access log, and how much memory, however many keys there are? */
import { heapStats } from 'bun:jsc'
import process from 'node:process'
import { systemClock } from '../src/clock.ts'
import type { Commands } from '../src/coordination/types.ts'
import { AccessLog } from '../src/predict/access-log.ts'
import { check } from './support/check.ts'

const READS = 10_000_000
/** Reads made ready at once: each a text of its own, as a program makes them, so that its hash is not known yet. */
const PAGE = 100_000
/** Reads between two flushes: 5 s of 100,000 reads a second. */
const FLUSH_EVERY = 500_000
const BOUND_NS = 1000

/** Time of the processor's that this process took, collecting garbage included: others on the machine do not count. */
function cpuNs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

/** mulberry32: the same reads in each run. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** Ranks from 0 to `keys` - 1 with probabilities that fall as 1 / (rank + 1). */
function zipf(keys: number, random: () => number): () => number {
  const sums = new Float64Array(keys)
  let total = 0
  for (let rank = 0; rank < keys; rank++) sums[rank] = total += 1 / (rank + 1)
  return () => {
    const wanted = random() * total
    let low = 0
    let high = keys - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((sums[middle] as number) < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}

const nothing: Commands = {
  call: async () => null,
  script: async () => null,
  subscribe: async () => async () => {},
  close: async () => {},
}

async function measure(keys: number, draw: () => number): Promise<{ ns: number; heapMb: number; size: number }> {
  const log = new AccessLog({ commands: nothing, clock: systemClock(Bun.nanoseconds) })
  const page = new Array<string>(PAGE)
  const fill = () => {
    for (let at = 0; at < PAGE; at++) page[at] = ['user', draw(), 'profile'].join(':')
  }
  for (let warm = 0; warm < 3; warm++) {
    fill()
    for (const key of page) log.record(key, 'redis')
  }
  await log.flush()
  page.fill('')
  Bun.gc(true)
  const before = heapStats().heapSize
  let takenNs = 0
  let largest = 0
  for (let read = 0; read < READS; read += PAGE) {
    fill()
    const startNs = cpuNs()
    for (const key of page) log.record(key, 'redis')
    takenNs += cpuNs() - startNs
    largest = Math.max(largest, log.size)
    if ((read + PAGE) % FLUSH_EVERY !== 0 || read + PAGE === READS) continue
    const flushNs = cpuNs()
    await log.flush()
    takenNs += cpuNs() - flushNs
  }
  page.fill('')
  Bun.gc(true)
  const heapMb = (heapStats().heapSize - before) / 2 ** 20
  // Twice the capacity: five minutes may end meanwhile.
  check(largest <= 20_000 && largest >= Math.min(keys, 7500), `${largest} counters are in use`)
  await log.flush()
  return { ns: takenNs / READS, heapMb, size: largest }
}

console.log(`access log: ${READS} reads, a flush each ${FLUSH_EVERY}`)
console.log('keys       reads    ns/read  heap after, MB  counters at most')
for (const keys of [100, 10_000, 1_000_000]) {
  for (const name of ['zipf', 'uniform'] as const) {
    const random = randomOf(keys)
    const draw = name === 'zipf' ? zipf(keys, random) : () => Math.floor(random() * keys)
    const { ns, heapMb, size } = await measure(keys, draw)
    const cells = [ns.toFixed(0).padStart(7), heapMb.toFixed(1).padStart(14), String(size).padStart(16)]
    console.log(`${String(keys).padEnd(9)}  ${name.padEnd(7)}  ${cells.join('  ')}`)
    check(ns < BOUND_NS, `a read costs ${ns.toFixed(0)} ns, more than ${BOUND_NS}`)
  }
}
