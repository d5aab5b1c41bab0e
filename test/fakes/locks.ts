import type { HeldLock, LockAttempt, Locks } from '../../src/coordination/types.ts'
import { PrewarmError } from '../../src/errors.ts'

interface Held {
  holder: string
  lose(): void
}

/** What several {@linkcode MemoryLocks} share, as instances share a Redis. Locks do not expire by themselves: see `take`. */
export class LockTable {
  readonly held = new Map<string, Held>()
  readonly fences = new Map<string, number>()

  /** The lock expires, or is taken from its holder, who learns of it at once unless it sleeps. */
  take(name: string, { isAsleep = false } = {}): void {
    const held = this.held.get(name)
    this.held.delete(name)
    if (!isAsleep) held?.lose()
  }

  holderOf(name: string): string | undefined {
    return this.held.get(name)?.holder
  }
}

/** {@linkcode Locks} in memory. Instances that share a `table` exclude each other. */
export class MemoryLocks implements Locks {
  readonly table: LockTable
  isDown = false
  /** Every attempt. */
  readonly attempts: { name: string; holder: string; held: boolean }[] = []

  constructor(table = new LockTable()) {
    this.table = table
  }

  async acquire(name: string, holder: string): Promise<LockAttempt> {
    if (this.isDown) throw new PrewarmError('STORE_UNREACHABLE', 'Cannot reach Redis at redis://fake: it is down')
    if (!/^[\w:-]{1,128}$/.test(name)) throw new PrewarmError('USAGE', `name is '${name}'`)
    const { held, fences } = this.table
    const other = held.get(name)
    this.attempts.push({ name, holder, held: other === undefined })
    if (other !== undefined) return { held: false, holder: other.holder, leftMs: 30_000 }
    const controller = new AbortController()
    const mine: Held = {
      holder,
      lose: () => controller.abort(new PrewarmError('LOCK_LOST', `The lock '${name}' was lost`)),
    }
    held.set(name, mine)
    const key = name === 'warmup' ? 'cache:warmup:fence' : `cache:warmup:fence:${name}`
    const token = (fences.get(key) ?? 1_700_000_000_000_000) + 1
    fences.set(key, token)
    const lock: HeldLock = {
      fence: { key, token },
      lost: controller.signal,
      async release() {
        if (held.get(name) === mine) held.delete(name)
      },
    }
    return { held: true, lock }
  }
}
