import TinyQueue from 'tinyqueue'

/** Something that has batches to give, one after the other: a task of a job. */
export interface Lane {
  /** Of its next batch; larger runs first. It may change with each batch. */
  readonly priority: number
}

/**
 * Whether a lane can give a batch: `ready` now, `ended` never again, `waiting` not before something of its own changes
 * (others may go first), `blocked` not before something changes that all share (then nobody overtakes it).
 */
export type Readiness = 'ready' | 'ended' | 'waiting' | 'blocked'

interface Place<L> {
  lane: L
  /** The lane's, as of when it was put in order. */
  priority: number
  /** Grows from batch to batch over all lanes: when it gave its last one, or came. */
  turn: number
}

/**
 * Which lane gives the next batch: the one whose next batch has the highest priority; among equals the one whose last batch
 * lies furthest back, or, where it has given none, that came first. So a huge task neither holds up a more important one, nor
 * its equals.
 */
export class BatchQueue<L extends Lane> {
  #places = new TinyQueue<Place<L>>([], compare)
  #turn = 0

  get size(): number {
    return this.#places.length
  }

  add(lane: L): void {
    this.#places.push({ lane, priority: lane.priority, turn: this.#turn++ })
  }

  /**
   * The first ready lane; its equals go before its next batch. Lanes that have ended are dropped.
   *
   * @param readiness asked of each lane, in order, until one is ready
   */
  next(readiness: (lane: L) => Readiness): L | undefined {
    this.#putInOrder()
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
        place.turn = this.#turn++
      }
    }
    for (const place of waiting) this.#places.push(place)
    return found
  }

  /** A lane's priority is that of its next batch: it changes when it gives one, and when one is due to be sent again. */
  #putInOrder(): void {
    let isStale = false
    for (const place of this.#places.data) {
      const { priority } = place.lane
      if (priority === place.priority) continue
      place.priority = priority
      isStale = true
    }
    if (isStale) this.#places = new TinyQueue(this.#places.data, compare)
  }
}

function compare<L extends Lane>(a: Place<L>, b: Place<L>): number {
  return b.priority - a.priority || a.turn - b.turn
}
