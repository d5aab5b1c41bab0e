import { type Failure, toFailure } from '../../errors.ts'
import type { WorkerPort } from '../../runtime/types.ts'
import type { Answers, ModelWorker, Work } from './work.ts'

export interface ToThread {
  id: number
  work: Work
}

export type FromThread = { id: number } & ({ answer: Answers[keyof Answers] } | { failure: Failure })

/** The thread's half: does what comes, one after the other, and answers each. */
export function serveModels(port: WorkerPort, worker: ModelWorker): void {
  let last: Promise<unknown> = Promise.resolve()
  port.onMessage((message) => {
    const { id, work } = message as ToThread
    last = last
      .then(() => worker.do(work))
      .then(
        (answer) => port.post({ id, answer } satisfies FromThread),
        (error) => port.post({ id, failure: toFailure(error) } satisfies FromThread),
      )
  })
}
