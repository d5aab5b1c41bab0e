import type { Lane } from './lane.ts'

/** What the dispatcher needs to know of the job a lane belongs to. */
export interface LaneContext {
  lane: Lane
  jobId: string
  traceId: string
  /** Called after each batch, and when the lane has ended. */
  onChange(): void
}

/** Lanes that have not ended, with what is kept of each. */
export class LaneTable<E> extends Map<Lane, E> {
  /** How many there are, by the priority of their task in the job. */
  get depth(): Map<number, number> {
    const depth = new Map<number, number>()
    for (const { priority } of this.keys()) depth.set(priority, (depth.get(priority) ?? 0) + 1)
    return depth
  }

  /** Streams that hold a connection now, of this priority or above: a less important one doesn't keep others from beginning. */
  openStreams(priority: number): number {
    let open = 0
    for (const lane of this.keys()) if (lane.priority >= priority && lane.heldStream !== undefined) open++
    return open
  }

  holdsStream(worker: number): boolean {
    for (const lane of this.keys()) if (lane.heldStream?.worker === worker) return true
    return false
  }
}
