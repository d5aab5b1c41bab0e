import type { WorkerPort } from '../runtime/types.ts'

/** Two ends of one in-process channel: what `workers: 0` uses in place of a thread. */
export function portPair(): [WorkerPort, WorkerPort] {
  const listeners: [((message: unknown) => void)[], ((message: unknown) => void)[]] = [[], []]
  const exits: [((reason: string) => void)[], ((reason: string) => void)[]] = [[], []]
  let open = true
  const end = (mine: 0 | 1): WorkerPort => ({
    post(message) {
      queueMicrotask(() => {
        if (open) for (const listener of listeners[mine === 0 ? 1 : 0]) listener(message)
      })
    },
    onMessage: (listener) => listeners[mine].push(listener),
    onExit: (listener) => exits[mine].push(listener),
    terminate: () => {
      if (!open) return
      open = false
      for (const listener of exits[mine === 0 ? 1 : 0]) listener('the other end was terminated')
    },
  })
  return [end(0), end(1)]
}
