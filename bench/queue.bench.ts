/** What does it cost to choose the next batch among many tasks, and to keep 200k keys from being warmed twice? */
import { bench, do_not_optimize, group, run } from 'mitata'
import { emptyReport } from '../src/batch.ts'
import { systemClock } from '../src/clock.ts'
import { createWarmer, load } from '../src/index.ts'
import { Lane } from '../src/job/lane.ts'
import { BatchQueue } from '../src/queue/batch-queue.ts'
import { InFlight } from '../src/queue/in-flight.ts'
import { check } from './support/check.ts'
import { profileKey } from './support/profiles.ts'

const KEYS = Array.from({ length: 200_000 }, (_, id) => profileKey(id))
const clock = systemClock(Bun.nanoseconds)
const config = { redis: 'redis://127.0.0.1', tasks: { profiles: load({ key: 'user:{id}:profile', load: () => [] }) } }
const warmer = await createWarmer({ env: {}, config })
const task = warmer.config.tasks.get('profiles')
check(task !== undefined, 'the task is missing')

const makeLane = (batchSize: number) => {
  const options = { task, priority: 0, params: {}, batchSize, batchDelayMs: 0, backoffBaseMs: 100 }
  const lane = new Lane({ ...options, clock, random: Math.random })
  lane.open({ kind: 'keys', keys: KEYS, failures: [] })
  return lane
}

/** Gives every batch of a lane and settles it; returns the batches. */
function drain(batchSize: number): number {
  const lane = makeLane(batchSize)
  let batches = 0
  while (lane.waitMs === 0) {
    const unit = lane.take()
    const report = emptyReport()
    report.keys.planned = report.keys.written = unit.keys ?? 0
    lane.settle(unit, { status: 'done', report })
    batches++
  }
  check(lane.isEnded && lane.tally.keys.written === KEYS.length, `a lane gave ${lane.tally.keys.written} keys`)
  return batches
}

const fill = (lanes: number, priorities: number) => {
  const queue = new BatchQueue<{ priority: number; given: number }>()
  const all = Array.from({ length: lanes }, (_, index) => ({ priority: index % priorities, given: 0 }))
  for (const lane of all) queue.add(lane)
  return { queue, all }
}

const { queue: fair, all: equals } = fill(100, 1)
for (let turn = 0; turn < 1000; turn++) (fair.next(() => 'ready') as { given: number }).given++
check(
  equals.every((lane) => lane.given === 10),
  'equals do not take turns',
)

group('BatchQueue: the next batch', () => {
  for (const lanes of [1, 10, 100, 1000]) {
    const { queue } = fill(lanes, 5)
    bench(`${lanes} tasks, first one ready`, () => do_not_optimize(queue.next(() => 'ready')))
  }
  const { queue } = fill(100, 5)
  let asked = 0
  bench('100 tasks, every second one waits', () =>
    do_not_optimize(queue.next(() => (asked++ % 2 ? 'ready' : 'waiting'))),
  )
})

group('Lane: give and settle 200k keys', () => {
  bench('batches of 1000', () => do_not_optimize(drain(1000)))
  bench('batches of 50', () => do_not_optimize(drain(50)))
})

const wanted = new Set(KEYS)
group('InFlight: claim and release 200k keys', () => {
  bench('nobody else holds any', () => {
    const claim = new InFlight().claim('profiles', wanted)
    check(claim.names.length === KEYS.length, 'a claim lost keys')
    claim.release()
  })
  bench('another job holds all', () => {
    const inFlight = new InFlight()
    const claim = inFlight.claim('profiles', wanted)
    check(inFlight.claim('profiles', wanted).names.length === 0, 'a key was claimed twice')
    claim.release()
  })
})

await run({ throw: true })
await warmer.stop()
