import TinyQueue from 'tinyqueue'

/** Something that has batches to give, one after the other: a task of a job. */
export interface Lane {
  /** Larger runs first. */
  readonly priority: number
}

/**
 * Whether a lane can give a batch: `ready` now, `ended` never again, `waiting` not before something of its own changes
 * (others may go first), `blocked` not before something changes that all share (then nobody overtakes it).
 */
export type Readiness = 'ready' | 'ended' | 'waiting' | 'blocked'

interface Place<L> {
  lane: L
  round: number
  order: number
}

/**
 * Which lane gives the next batch: the highest priority; among equals the one that has given the fewest since it
 * came, then the one that came first. So a huge task neither holds up a more important one, nor its equals.
 */
export class BatchQueue<L extends Lane> {
  readonly #places = new TinyQueue<Place<L>>([], compare)
  /** The round that each priority has reached: a new lane joins there, not at the start. */
  readonly #rounds = new Map<number, number>()
  #order = 0

  get size(): number {
    return this.#places.length
  }

  add(lane: L): void {
    this.#places.push({ lane, round: this.#rounds.get(lane.priority) ?? 0, order: this.#order++ })
  }

  /**
   * The first ready lane; it moves one round back. Lanes that have ended are dropped.
   *
   * @param readiness asked of each lane, in order, until one is ready
   */
  next(readiness: (lane: L) => Readiness): L | undefined {
    const waiting: Place<L>[] = []
    let found: L | undefined
    while (found === undefined) {
      const place = this.#places.pop()
      if (place === undefined) break
      const state = readiness(place.lane)
      if (state === 'ended') continue
      waiting.push(place)
      if (state === 'blocked') break
      if (state === 'ready') {
        found = place.lane
        const round = Math.max(place.round, this.#rounds.get(found.priority) ?? 0)
        this.#rounds.set(found.priority, round)
        place.round = round + 1
      }
    }
    for (const place of waiting) this.#places.push(place)
    if (this.#places.length === 0) this.#rounds.clear()
    return found
  }
}

function compare<L extends Lane>(a: Place<L>, b: Place<L>): number {
  return b.lane.priority - a.lane.priority || a.round - b.round || a.order - b.order
}
