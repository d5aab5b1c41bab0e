import type { Clock } from '../../src/clock.ts'
import { ACQUIRE, RELEASE, RENEW } from '../../src/coordination/lock-scripts.ts'
import { FakeCommands } from '../fakes/commands.ts'

/** What a Redis does with the lock's scripts, by a clock of the test's. Several connections may share it. */
export class LockServer {
  readonly #clock: Clock
  readonly locks = new Map<string, { mark: string; expiresMs: number }>()
  readonly fences = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  connection(): FakeCommands {
    return new FakeCommands()
      .onScript(ACQUIRE, ([lock = '', fence = ''], [mark = '', ttlMs]) => {
        const held = this.held(lock)
        if (held !== undefined) return [0, held.mark, held.expiresMs - this.#clock.nowMs()]
        const token = (this.fences.get(fence) ?? this.#clock.nowMs() * 1000) + 1
        this.fences.set(fence, token)
        this.locks.set(lock, { mark, expiresMs: this.#clock.nowMs() + Number(ttlMs) })
        return [1, token]
      })
      .onScript(RENEW, ([lock = ''], [mark, ttlMs]) => {
        const held = this.held(lock)
        if (held?.mark !== mark || held === undefined) return 0
        held.expiresMs = this.#clock.nowMs() + Number(ttlMs)
        return 1
      })
      .onScript(RELEASE, ([lock = ''], [mark]) => {
        if (this.held(lock)?.mark !== mark) return 0
        this.locks.delete(lock)
        return 1
      })
  }

  held(lock: string): { mark: string; expiresMs: number } | undefined {
    const held = this.locks.get(lock)
    return held === undefined || held.expiresMs <= this.#clock.nowMs() ? undefined : held
  }

  flush(): void {
    this.locks.clear()
    this.fences.clear()
  }
}
