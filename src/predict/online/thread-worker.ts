import { getLogger } from '@logtape/logtape'
import type { Clock } from '../../clock.ts'
import { isPrewarmError, PrewarmError } from '../../errors.ts'
import type { WorkerPort } from '../../runtime/types.ts'
import type { FromThread, ToThread } from './model-thread.ts'
import type { Answers, ModelWorker, Work } from './work.ts'

const log = getLogger(['prewarm'])

/** Bound on one answer of the thread, its start included; and how long it is kept for the next question, ms. */
const DEADLINE_MS = 30_000
const IDLE_MS = 30_000

export interface ThreadWorkerOptions {
  /** Starts the thread that `serveModels` serves. */
  startWorker: () => WorkerPort
  /** Does it here. */
  here: ModelWorker
  clock: Clock
}

interface Waiting {
  ask: () => void
  resolve: (answer: Answers[keyof Answers]) => void
  reject: (error: PrewarmError) => void
}

/**
 * Works on models in a thread of its own, which is started with the first work and ended when it has had none for half a
 * minute. Where no thread can be had, or it dies or is late, it is done here.
 */
export class ThreadWorker implements ModelWorker {
  readonly #options: ThreadWorkerOptions
  readonly #waiting = new Map<number, Waiting>()
  #port: WorkerPort | undefined
  #takeBackIdle = () => {}
  #nextId = 1
  #hasWarned = false
  #isClosed = false

  constructor(options: ThreadWorkerOptions) {
    this.#options = options
  }

  async do<W extends Work>(work: W, signal?: AbortSignal): Promise<Answers[W['kind']]> {
    try {
      return (await this.#elsewhere(work, signal)) as Answers[W['kind']]
    } catch (error) {
      if (!isPrewarmError(error) || error.code !== 'WORKER_LOST') throw error
      if (!this.#hasWarned) log.warn('{message}: it is done on the main thread', { message: error.message })
      this.#hasWarned = true
    }
    return this.#options.here.do(work, signal)
  }

  /** Ends the thread, until there is work again. Safe to call twice. */
  rest(): void {
    this.#takeBackIdle()
    const port = this.#port
    this.#port = undefined
    port?.terminate()
  }

  /** Ends the thread for good; what was asked of it fails with `STOPPED`. Safe to call twice. */
  close(): void {
    this.#isClosed = true
    this.#lose(stopped())
  }

  #elsewhere(work: Work, signal?: AbortSignal): Promise<Answers[keyof Answers]> {
    if (this.#isClosed || signal?.aborted) return Promise.reject(stopped())
    const id = this.#nextId++
    this.#takeBackIdle()
    return new Promise<Answers[keyof Answers]>((resolve, reject) => {
      const ask = () => {
        try {
          this.#port ??= this.#start()
          this.#port.post({ id, work } satisfies ToThread)
        } catch (error) {
          this.#lose(lost(error instanceof Error ? error.message : String(error)))
        }
      }
      // Whoever gives up ends the thread: it can't be told to stop in the middle. What others wait for is asked again.
      const abort = () => {
        this.rest()
        mine.reject(stopped())
        for (const other of [...this.#waiting.values()]) other.ask()
      }
      const late = () => this.#lose(lost(`no answer within ${DEADLINE_MS} ms`))
      const takeBackDeadline = this.#options.clock.after(DEADLINE_MS, late)
      const end = () => {
        this.#waiting.delete(id)
        takeBackDeadline()
        signal?.removeEventListener('abort', abort)
        if (this.#waiting.size === 0 && this.#port !== undefined)
          this.#takeBackIdle = this.#options.clock.after(IDLE_MS, () => this.rest())
      }
      const mine: Waiting = {
        ask,
        resolve: (answer) => {
          end()
          resolve(answer)
        },
        reject: (error) => {
          end()
          reject(error)
        },
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiting.set(id, mine)
      ask()
    })
  }

  #start(): WorkerPort {
    const port = this.#options.startWorker()
    port.onMessage((message) => this.#receive(message as FromThread))
    port.onExit((reason) => {
      if (this.#port === port) this.#lose(lost(reason))
    })
    return port
  }

  /** What was given up is waited for no more: numbers are never given twice. */
  #receive(message: FromThread): void {
    const waiting = this.#waiting.get(message.id)
    if ('answer' in message) waiting?.resolve(message.answer)
    else waiting?.reject(new PrewarmError(message.failure.code, message.failure.message))
  }

  #lose(error: PrewarmError): void {
    this.rest()
    for (const { reject } of [...this.#waiting.values()]) reject(error)
  }
}

function lost(reason: string): PrewarmError {
  return new PrewarmError('WORKER_LOST', `The thread that learns what is read was lost (${reason})`)
}

function stopped(): PrewarmError {
  return new PrewarmError('STOPPED', 'What was read is learned from later: the warmer was stopped')
}
