import type { Clock } from '../clock.ts'
import type { CarefulTier } from './careful-tier.ts'
import { decode, encode, heldOf } from './forms.ts'
import { type Item, missed, type WriteOutcome } from './item.ts'
import type { Got } from './loaders.ts'
import type { MemoryLayer } from './memory.ts'
import type { Fill, Lease } from './tier.ts'
import type { CacheObserver, FilledBy } from './types.ts'

export interface Loaded {
  item: Item
  /** Null: nothing is written. */
  lease: Lease | null
  got: Exclude<Got, { error: unknown }>
}

interface Edges {
  tier: CarefulTier
  memory: MemoryLayer
  clock: Clock
  observer: CacheObserver
}

/** One value that is ready to be written; `problem`: why it can't be. */
type Prepared = Ready | { item: Item; problem: unknown }

interface Ready {
  item: Item
  fill: Fill
  value: unknown
  bytes: number
}

/**
 * Writes what was loaded, and settles the items with what a later read would find. A value that can't be written is the
 * reader's all the same.
 */
export async function writeLoaded(
  loaded: readonly Loaded[],
  versionOf: ReadonlyMap<string, string>,
  replace: boolean,
  edges: Edges,
): Promise<void> {
  const groups = new Map<Lease, Ready[]>()
  for (const { item, lease, got } of loaded) {
    const ready = prepare(item, got, versionOf, edges)
    const isKept = 'fill' in ready && (ready.fill.encoded !== null || item.negativeTtlMs > 0)
    if (lease !== null && isKept) {
      const group = groups.get(lease)
      if (group === undefined) groups.set(lease, [ready])
      else group.push(ready)
      continue
    }
    if (lease !== null) void edges.tier.release([item.key], lease)
    // It was to be replaced, and is not.
    if (replace) edges.memory.drop([item.key])
    if ('fill' in ready) settle(item, ready.value, 0)
    else item.settle({ result: missed(0, got.value), expiresAtMs: 0, problem: ready.problem })
  }
  await Promise.all([...groups].map(([lease, ready]) => write(ready, lease, replace, edges)))
}

async function write(all: readonly Ready[], lease: Lease, replace: boolean, { tier, memory, clock }: Edges) {
  const filledBy: FilledBy = all[0]?.item.filledBy ?? 'read'
  const filled = await tier.fill(
    all.map(({ fill }) => fill),
    { lease, replace, filledBy },
  )
  if (filled === null) {
    // Nobody knows what became of it, and nobody will be told; it must not be waited for either.
    const keys = all.map(({ item }) => item.key)
    memory.drop(keys)
    void tier.release(keys, lease)
  }
  for (const [index, { item, value, bytes, fill }] of all.entries()) {
    const one = filled?.[index]
    if (one?.outcome !== 'written') {
      settle(item, value, 0, one?.outcome)
      continue
    }
    const freshMs = fill.encoded === null ? fill.ttlMs : item.ttlMs
    const freshUntilMs = clock.nowMs() + freshMs
    const { keyspace } = item.form
    // As it is told of what is read from Redis: "none" is no entry, and nobody's merit.
    const told =
      fill.encoded === null
        ? ({ expiresAtMs: 0, filledBy: 'read' } as const)
        : { expiresAtMs: one.expiresAtMs, filledBy }
    memory.wrote(item.asked, { value, freshUntilMs, ...told, keyspace, tags: item.tags }, bytes)
    settle(item, value, freshMs, 'written')
  }
}

function settle(item: Item, value: unknown, ttlMs: number, outcome?: WriteOutcome): void {
  item.settle({ result: missed(ttlMs, value), expiresAtMs: 0, outcome })
}

function prepare(
  item: Item,
  { value, version }: Loaded['got'],
  versionOf: ReadonlyMap<string, string>,
  { clock, observer }: Edges,
): Prepared {
  const { key, form, tags } = item
  if (value === undefined || value === null) {
    return { item, fill: { key, encoded: null, ttlMs: item.negativeTtlMs }, value: undefined, bytes: 0 }
  }
  try {
    const ttlMs = item.ttlMs + item.graceMs
    const versions = tags.map((tag) => versionOf.get(tag) as string)
    const context = { key, ttlMs: item.ttlMs, nowMs: clock.nowMs() }
    const encoded = encode(form, value, context, tags, versions)
    return { item, fill: { key, encoded, ttlMs, version }, ...decode(form, heldOf(encoded)) }
  } catch (problem) {
    observer.error({ keyspace: form.keyspace, tier: 'origin' })
    return { item, problem }
  }
}
