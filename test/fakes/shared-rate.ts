import type { Clock } from '../../src/clock.ts'
import type { SharedRate } from '../../src/coordination/types.ts'
import { TokenBucket } from '../../src/origin/token-bucket.ts'

/** A {@linkcode SharedRate} in memory that can be down. Guards that share one are as instances on one Redis. */
export class FakeSharedRate implements SharedRate {
  isDown = false
  /** Every lease that was given. */
  readonly granted: number[] = []
  readonly #bucket: TokenBucket

  /** @param rps requests a second */
  constructor(rps: number, clock: Clock) {
    this.#bucket = new TokenBucket(rps, clock)
  }

  async lease(wanted: number): Promise<{ granted: number; retryInMs: number } | null> {
    if (this.isDown) return null
    let granted = 0
    let retryInMs = 0
    while (granted < wanted && retryInMs === 0) {
      retryInMs = this.#bucket.take(1)
      if (retryInMs === 0) granted++
    }
    this.granted.push(granted)
    return { granted, retryInMs: granted === 0 ? retryInMs : 0 }
  }
}
