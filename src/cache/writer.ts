import type { Clock } from '../clock.ts'
import { decode, encode, heldOf } from './forms.ts'
import type { Item } from './item.ts'
import type { MemoryLayer } from './memory.ts'
import type { Filled, SharedTier } from './tier.ts'
import type { SetOutcome } from './types.ts'

/** A value that the application gives, with the item that says how it is kept. */
export interface Given {
  item: Item
  value: unknown
  /** As `versionText` gives it. */
  version: string | undefined
}

/**
 * Writes what the application says to Redis, then to memory. All bear the same tags. It has no grace but its own:
 * nobody may know how to refresh it.
 *
 * @throws {PrewarmError} `VALUE_INVALID` before anything is written; `STORE_UNREACHABLE`, `STORE_REFUSED`
 */
export async function writeGiven(
  all: readonly Given[],
  { tier, memory, clock }: { tier: SharedTier; memory: MemoryLayer; clock: Clock },
): Promise<SetOutcome[]> {
  const tags = all[0]?.item.tags ?? []
  const versions = tags.length === 0 ? [] : await tier.tagVersions(tags)
  const sets = all.map(({ item: { key, form, ttlMs, ownGraceMs }, value, version }) => {
    const context = { key, ttlMs, nowMs: clock.nowMs() }
    return { key, ttlMs: ttlMs + ownGraceMs, version, encoded: encode(form, value, context, tags, versions) }
  })
  const decoded = sets.map(({ encoded }, index) => decode((all[index] as Given).item.form, heldOf(encoded)))
  memory.drop(sets.map(({ key }) => key))
  // From here on, so that a change by others is heard of.
  const asked = sets.map(({ key }) => memory.ask(key))
  try {
    const filled = await tier.set(sets, { filledBy: 'unknown' })
    for (const [index, { outcome, expiresAtMs }] of filled.entries()) {
      const one = asked[index]
      const { item } = all[index] as Given
      if (outcome !== 'written' || one === undefined) continue
      const { value, bytes } = decoded[index] as (typeof decoded)[number]
      const freshUntilMs = clock.nowMs() + item.ttlMs
      const { keyspace } = item.form
      memory.wrote(one, { value, freshUntilMs, expiresAtMs, filledBy: 'unknown', keyspace, tags }, bytes)
    }
    return filled.map(outcomeOf)
  } finally {
    for (const one of asked) memory.done(one)
  }
}

function outcomeOf({ outcome }: Filled): SetOutcome {
  return outcome === 'written' ? 'written' : 'skipped_newer'
}
