import fc from 'fast-check'
import type { TieredCache } from '../../src/cache/tiered.ts'
import { isPrewarmError } from '../../src/errors.ts'
import { turn } from '../fakes/clock.ts'
import type { MemoryTierState } from '../fakes/memory-tier-state.ts'
import { Desk, type Seat } from './desk.ts'

/** What an actor begins. `write`, `tag` and `set` change the origin first, and tell of it by a delete, a tag or a set. */
export type Act = 'read' | 'look' | 'fresh' | 'many' | 'warm' | 'write' | 'tag' | 'set' | 'deaf' | 'hears' | 'close'

/** One step: an actor begins; something that is on its way arrives; time goes by. `at` picks what, or how long. */
export interface Step {
  what: 'act' | 'arrive' | 'time'
  act: Act
  at: number
}

export interface Story {
  steps: Step[]
  /** What chance says: whether what is in memory is due for a refresh. */
  isDue: boolean
}

const READS: Act[] = ['read', 'read', 'read', 'look', 'fresh', 'many', 'warm']
const KEYS = ['x', 'y'] as const
/** Longest drain, in steps of 10 ms. */
const MAX_DRAIN = 3000

const storyOf = (...acts: Act[]): fc.Arbitrary<Story> =>
  fc.record({
    steps: fc.array(
      fc.record({
        what: fc.constantFrom<Step['what']>('act', 'act', 'arrive', 'arrive', 'arrive', 'time'),
        act: fc.constantFrom(...READS, ...acts),
        at: fc.nat(10_000),
      }),
      { minLength: 10, maxLength: 60, size: 'max' },
    ),
    isDue: fc.boolean(),
  })

/** Mixed with a delete or a tag a set can't know its place. */
export const story: fc.Arbitrary<Story> = fc.oneof(
  storyOf('write', 'write', 'tag'),
  storyOf('write', 'tag', 'deaf', 'hears'),
  storyOf('set', 'set'),
  storyOf('write', 'close'),
)

/** A guard that is taken away, so that the test can be seen to fail. */
export type Without = (state: MemoryTierState, caches: readonly TieredCache[]) => void

/** Plays one schedule on two caches over one state, and returns all that is wrong, at the end and on the way. */
export async function playSchedule({ steps, isDue }: Story, without: Without = () => {}): Promise<string[]> {
  const desk = new Desk()
  desk.random = isDue ? 1 - 1e-12 : 0
  const options = { refreshAhead: 100, maxLoads: 3, loadTimeout: 400, waitTime: 200, negativeTtl: 0, ttlJitter: 0.1 }
  const seats = [desk.seat(options), desk.seat(options)] as const
  without(
    desk.state,
    seats.map(({ cache }) => cache),
  )
  const wrong: string[] = []
  const arriving: (() => void)[] = []
  const onItsWay = () => new Promise<void>((resolve) => void arriving.push(resolve))
  for (const { tier } of seats) {
    tier.before = onItsWay
    tier.after = onItsWay
  }
  const origin = new Map<string, number>(KEYS.map((key) => [key, 1]))
  let newest = 1
  /** What a read that begins now must not be older than, by cache and key. */
  const floors = seats.map(() => new Map<string, number>())
  const hearsAlways = !steps.some(({ act }) => act === 'deaf')

  const load = async (key: string) => {
    const value = origin.get(key) as number
    await onItsWay()
    return value
  }
  const loadMany = async (keys: string[]) => {
    const values = keys.map((key) => origin.get(key) as number)
    await onItsWay()
    return values
  }
  const check = (key: string, value: number | undefined, floor: number | undefined, act: Act) => {
    if (value !== undefined && value < (floor ?? 0))
      wrong.push(`${act} of ${key} gave ${value} after ${floor} was told`)
  }
  const change = async (index: number, key: string, tell: (value: number) => Promise<unknown>) => {
    const value = ++newest
    origin.set(key, value)
    await tell(value)
    for (const [number, floor] of floors.entries())
      if (number === index || hearsAlways) floor.set(key, Math.max(value, floor.get(key) ?? 0))
  }
  const act = async (name: Act, at: number): Promise<void> => {
    const index = at % 2
    const { cache, tier } = seats[index] as Seat
    const key = KEYS[(at >> 1) % 2] as string
    const floor = new Map(floors[index])
    const tags = [`t:${key}`]
    if (name === 'read') check(key, await cache.get(key, { load, tags }), floor.get(key), name)
    else if (name === 'look') check(key, await cache.get(key), floor.get(key), name)
    else if (name === 'fresh') check(key, await cache.get(key, { load, tags, fresh: true }), floor.get(key), name)
    else if (name === 'many') {
      const found = await cache.getMany(KEYS, loadMany, { tags: KEYS.map((one) => `t:${one}`) })
      for (const one of KEYS) check(one, found.get(one), floor.get(one), name)
    } else if (name === 'warm') await cache.warm(key, { load, tags })
    else if (name === 'write') await change(index, key, () => cache.delete(key))
    else if (name === 'tag') await change(index, key, () => cache.invalidateTags(...tags))
    else if (name === 'set') await change(index, key, (value) => cache.set(key, value, { version: value, tags }))
    else if (name === 'deaf') tier.setHearing('nothing')
    else if (name === 'hears') tier.setHearing('tracking')
    else await cache.close()
  }

  let open = 0
  const begin = (name: Act, at: number) => {
    open++
    void act(name, at)
      .catch((error) => {
        const isFair =
          isPrewarmError(error) &&
          ['STOPPED', 'ORIGIN_TIMEOUT', 'RATE_LIMITED', 'STORE_UNREACHABLE'].includes(error.code)
        if (!isFair) wrong.push(`${name} threw ${error}`)
      })
      .finally(() => open--)
  }
  for (const { what, act: name, at } of steps) {
    if (what === 'act') begin(name, at)
    else if (what === 'arrive') arriving.splice(at % Math.max(1, arriving.length), 1)[0]?.()
    else desk.clock.tick(at % 60)
    await turn()
  }
  const rests = () => open === 0 && arriving.length === 0 && seats.every(({ cache }) => cache.pending.work === 0)
  for (let at = 0; !rests(); at++) {
    if (at > MAX_DRAIN) return [...wrong, `${open} calls never ended`]
    for (const arrive of arriving.splice(0)) {
      arrive()
      await turn()
    }
    desk.clock.tick(10)
    await turn()
  }
  return [...wrong, ...(await atRest(desk, seats, origin))]
}

/** What must not be when everything has ended. */
async function atRest(desk: Desk, seats: readonly Seat[], origin: ReadonlyMap<string, number>): Promise<string[]> {
  const wrong: string[] = []
  for (const [index, { cache, tier }] of seats.entries()) {
    tier.before = () => {}
    tier.after = () => {}
    const { flights, questions } = cache.pending
    if (flights + questions > 0) wrong.push(`cache ${index} has ${flights} flights and ${questions} questions left`)
  }
  if (desk.clock.pending > 0) wrong.push(`${desk.clock.pending} timers are left`)
  for (const key of KEYS) {
    if (desk.state.lease(key, 1, 'test') === null) wrong.push(`the lease of ${key} is left`)
    desk.state.release([key], 'test')
  }
  // So that Redis is asked again, should it have been left alone.
  desk.clock.tick(1001)
  desk.random = 0
  for (const [index, { cache }] of seats.entries()) {
    for (const key of KEYS) {
      const read = await cache.read<number>(key).catch(() => undefined)
      if (read?.value === undefined || read.value === origin.get(key)) continue
      wrong.push(`${key} is ${read.value} in the ${read.tier} of cache ${index}, not ${origin.get(key)}`)
    }
  }
  return wrong
}
