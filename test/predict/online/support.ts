import { BUCKET_MS, bucketKey, bucketOf } from '../../../src/predict/buckets.ts'
import { ModelHolder } from '../../../src/predict/online/model-holder.ts'
import { OnlinePredictor, type OnlinePredictorOptions } from '../../../src/predict/online/predictor.ts'
import { ARE_THERE, STORE_STATE } from '../../../src/predict/online/state.ts'
import type { Folded, FoldWork, ModelWorker } from '../../../src/predict/online/work.ts'
import { FakeClock } from '../../fakes/clock.ts'
import { FakeCommands } from '../../fakes/commands.ts'
import { LockTable, MemoryLocks } from '../../fakes/locks.ts'
import { fakeModels } from '../../fakes/prediction-model.ts'

export const WINDOW = 3 * BUCKET_MS
/** The beginning of a window. */
export const START = WINDOW * 2_000_000

/** What several instances share: the access log, the state, the locks. */
export class FakeRedis {
  readonly buckets = new Map<string, Map<string, number>>()
  readonly hashes = new Map<string, Map<string, string>>()
  readonly locks = new LockTable()
  /** The server's time, ms since 1970. */
  nowMs = Number.MAX_SAFE_INTEGER

  /** Notes reads at `atMs`. */
  read(atMs: number, counts: Record<string, number>): void {
    const name = bucketKey(bucketOf(atMs))
    const bucket = this.buckets.get(name) ?? new Map<string, number>()
    for (const [key, count] of Object.entries(counts)) bucket.set(key, (bucket.get(key) ?? 0) + count)
    this.buckets.set(name, bucket)
  }

  /** Another connection. */
  connect(): FakeCommands {
    const fields = (name: string) => this.hashes.get(name) ?? new Map<string, string>()
    return new FakeCommands()
      .on('HMGET', ([name = '', ...asked]) => asked.map((field) => fields(name).get(field) ?? null))
      .on('ZREVRANGE', ([name = '', from, to]) =>
        [...(this.buckets.get(name) ?? [])]
          .sort((a, b) => b[1] - a[1])
          .slice(Number(from), Number(to) + 1)
          .flatMap(([key, count]) => [key, String(count)]),
      )
      .on('ZREVRANGEBYSCORE', () => [])
      .onScript(ARE_THERE, (keys) => [this.nowMs, ...keys.map((key) => (this.buckets.has(key) ? 1 : 0))])
      .onScript(STORE_STATE, ([name = ''], [, format, replaced, id, foldedToMs, windows, scores, state]) => {
        const was = fields(name).get('id') ?? ''
        if (was !== '' && was !== replaced) return 0
        const all = { format, id, foldedToMs, windows, scores, state } as Record<string, string>
        this.hashes.set(name, new Map(Object.entries(all)))
        return 1
      })
  }
}

/** One instance. */
export function instance(redis = new FakeRedis(), options: Partial<OnlinePredictorOptions> = {}) {
  const clock = (options.clock as FakeClock | undefined) ?? new FakeClock(START)
  const commands = redis.connect()
  const locks = new MemoryLocks(redis.locks)
  const folded: number[] = []
  const holder = new ModelHolder(fakeModels)
  const worker = folding(holder, (work) => {
    folded.push(...work.windows.map(({ toMs }) => toMs))
    return holder.do(work)
  })
  const parts: OnlinePredictorOptions = {
    ...{ commands, clock, locks, worker, holder: 'test' },
    settings: () => ({ predictor: 'learned', windowMs: WINDOW, keys: 1000 }),
    ...options,
  }
  return { redis, clock, commands, locks, folded, predictor: new OnlinePredictor(parts) }
}

/** A worker whose folding is another's. */
export function folding(
  worker: ModelWorker,
  fold: (work: FoldWork, signal: AbortSignal) => Promise<Folded>,
): ModelWorker {
  return {
    do: (work, signal) =>
      work.kind === 'fold' ? (fold(work, signal as AbortSignal) as never) : worker.do(work, signal),
  }
}

/** As an option of {@linkcode instance}. */
export function foldsBy(fold: (work: FoldWork, signal: AbortSignal, holder: ModelHolder) => Promise<Folded>) {
  const holder = new ModelHolder(fakeModels)
  return { worker: folding(holder, (work, signal) => fold(work, signal, holder)) }
}
