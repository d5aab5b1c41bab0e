/**
 * How Redis counts accesses under an LFU policy (`LFULogIncr` in its `src/evict.c`, https://redis.io/docs/latest/develop/reference/eviction/):
 * a new key's counter is 5; an access adds one with the chance `1 / ((counter - 5) * lfu-log-factor + 1)`, and surely up to 5;
 * every `lfu-decay-time` minutes without an access take one off; 255 is the most.
 */
export interface LfuSettings {
  /** `lfu-log-factor`; 0: each access counts. */
  logFactor: number
  /** `lfu-decay-time`, minutes; 0: counters never fall. */
  decayMinutes: number
}

/** Redis' defaults, for servers that do not tell. */
export const LFU_DEFAULTS: LfuSettings = { logFactor: 10, decayMinutes: 1 }

/** A new key's counter. */
export const NEW_COUNTER = 5
const MAX_COUNTER = 255

/**
 * Accesses that bring a new key's counter to `counter`, on average: the sum of what each step takes, which is the inverse of
 * its chance. A little too low for a key that was counted down in between; at 255 there may have been more.
 */
export function accessesOf(counter: number, logFactor: number): number {
  const steps = Math.min(counter, MAX_COUNTER) - NEW_COUNTER
  return steps <= 0 ? 0 : Math.round(steps + (logFactor * steps * (steps - 1)) / 2)
}

/** The smallest counter that `touches` accesses to a new key reach or pass with less than `chance`. */
export function counterBeyond(touches: number, logFactor: number, chance: number): number {
  // chances[n]: that the counter is 5 + n now.
  let chances = [1]
  for (let touch = 0; touch < touches; touch++) {
    const next: number[] = new Array(chances.length + 1).fill(0)
    for (const [steps, here] of chances.entries()) {
      const up = steps + NEW_COUNTER >= MAX_COUNTER ? 0 : here / (steps * logFactor + 1)
      next[steps] = (next[steps] as number) + here - up
      next[steps + 1] = (next[steps + 1] as number) + up
    }
    chances = next
  }
  let beyond = 0
  for (let steps = chances.length - 1; steps >= 0; steps--) {
    beyond += chances[steps] as number
    if (beyond >= chance) return steps + 1 + NEW_COUNTER
  }
  return NEW_COUNTER
}
