/** The promise of every run, checked: each planned key has exactly one outcome, and it matches what is in Redis. */
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import type { JobResult, KeyCounts } from '../../src/index.ts'

export interface AccountOptions {
  /** What a key must hold if it is there at all; `undefined`: not looked at. */
  holds?: (key: string) => string | Record<string, string> | undefined
  /** Of the keys, those that were in Redis before. Default: none. */
  before?: number
  /** The reading broke off, so that fewer keys may be planned than there are. */
  isCut?: boolean
  /** The server lost what it held: a written key may be gone. */
  isEmptied?: boolean
}

/** Checks `result` against `keys`, all that the job could have written, and against Redis, which holds nothing else. */
export async function assertAccounted(
  result: JobResult,
  redis: Redis,
  keys: readonly string[],
  { holds, before = 0, isCut = false, isEmptied = false }: AccountOptions = {},
): Promise<void> {
  const told = JSON.stringify({
    status: result.status,
    keys: result.keys,
    errors: result.tasks.map((task) => task.firstError),
  })
  const sums: KeyCounts = { planned: 0, written: 0, skippedPresent: 0, skippedNewer: 0, failed: 0, unknown: 0 }
  for (const task of result.tasks) {
    assertEquals(task.keys.planned, sumOf(task.keys), `task ${task.task}: ${told}`)
    for (const name of Object.keys(sums) as (keyof KeyCounts)[]) sums[name] += task.keys[name]
  }
  assertEquals(result.keys, sums, told)
  if (isCut) assert(result.keys.planned <= keys.length, told)
  else assertEquals(result.keys.planned, keys.length, told)
  const isClean = result.keys.failed + result.keys.unknown === 0 && !isCut
  if (isClean) assert(['success', 'skipped', 'cancelled'].includes(result.status), told)
  else assert(['partial', 'failed', 'cancelled'].includes(result.status), told)
  if (!isClean && result.status !== 'cancelled')
    assert(
      result.tasks.some((task) => task.firstError !== null),
      told,
    )

  const held = await heldIn(redis, keys)
  const sure = result.keys.written + result.keys.skippedPresent + result.keys.skippedNewer
  if (!isEmptied) assert(held.size >= sure, `${held.size} keys are there, ${sure} were said to be: ${told}`)
  const most = sure + result.keys.unknown + before
  assert(held.size <= most, `${held.size} keys are there, at most ${most} were said to be: ${told}`)
  assertEquals(await redis.dbsize(), held.size, `there are keys that nobody planned: ${told}`)
  if (holds === undefined) return
  for (const [key, value] of held) {
    const expected = holds(key)
    if (expected !== undefined) assertEquals(value, expected, `${key}: ${told}`)
  }
}

function sumOf({ written, skippedPresent, skippedNewer, failed, unknown }: KeyCounts): number {
  return written + skippedPresent + skippedNewer + failed + unknown
}

/** Those of `keys` that are there, with what they hold; each must expire. */
async function heldIn(redis: Redis, keys: readonly string[]): Promise<Map<string, string | Record<string, string>>> {
  const held = new Map<string, string | Record<string, string>>()
  for (let from = 0; from < keys.length; from += 1000) {
    const some = keys.slice(from, from + 1000)
    const types = redis.pipeline()
    for (const key of some) types.type(key).pttl(key)
    const told = (await types.exec()) ?? []
    const values = redis.pipeline()
    for (const [at, key] of some.entries()) {
      if (told[at * 2]?.[1] === 'hash') values.hgetall(key)
      else values.get(key)
    }
    for (const [at, [error, value]] of ((await values.exec()) ?? []).entries()) {
      if (error !== null) throw error
      if (value === null) continue
      const key = some[at] as string
      assert((told[at * 2 + 1]?.[1] as number) > 0, `${key} does not expire`)
      held.set(key, typeof value === 'string' ? value : { ...(value as Record<string, string>) })
    }
  }
  return held
}

/** `prefix:1` … `prefix:count`. */
export function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}:${at + 1}`)
}
