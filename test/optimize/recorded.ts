import type { Clock } from '../../src/clock.ts'
import type { Commands } from '../../src/coordination/types.ts'
import { AccessLog } from '../../src/predict/access-log.ts'
import { BUCKET_MS } from '../../src/predict/buckets.ts'

/** Records `each` reads of each key in each hour of the last two and a half, as an application would have told them. */
export async function recordReads(
  { commands, clock }: { commands: Commands; clock: Clock },
  keys: readonly string[],
  each: number,
): Promise<void> {
  let failure: unknown
  const log = new AccessLog({
    commands,
    clock,
    onError: (error) => {
      failure = error
    },
  })
  for (let bucket = 0; bucket < 30; bucket++) {
    const atMs = clock.nowMs() - (29 - bucket) * BUCKET_MS
    for (const key of keys) for (let read = 0; read < each / 12; read++) log.record(key, 'redis', atMs)
    await log.flush()
  }
  if (failure !== undefined) throw failure
}
