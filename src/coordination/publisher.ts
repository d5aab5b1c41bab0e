import type { Clock } from '../clock.ts'
import type { EventLog } from '../events/event-log.ts'
import type { Commands, Script } from './types.ts'

export interface PublishOptions {
  events: EventLog
  commands: Commands
  clock: Clock
  /** This process among others on the same Redis. */
  instance: string
  /** Told how many events have been dropped so far, whenever some are, because Redis could not take them in time. */
  onDropped?: (total: number) => void
}

/** Where events are published. */
export const EVENTS_CHANNEL = 'prewarm:events'

const QUEUE = 1000
const BATCH = 100
const PAUSE_MS = 500
const FLUSH_MS = 1000

/** KEYS: the channel. ARGV: the messages. */
const PUBLISH: Script = {
  text: `for at = 1, #ARGV do redis.call('PUBLISH', KEYS[1], ARGV[at]) end return #ARGV`,
}

/**
 * Publishes each event from now on, as JSON `{ id, at, instance, ...event }`, on Redis' channel `prewarm:events`. Never
 * holds up who emits: at most 1000 events wait, then the oldest are dropped; where Redis did not answer they are sent
 * once more later, so that a subscriber may see one twice (`instance` and `id` tell).
 *
 * The returned function ends that: what waits is sent, for at most 1 s. Safe to call twice, never throws.
 */
export function publishEvents(options: PublishOptions): () => Promise<void> {
  const publisher = new Publisher(options)
  return () => publisher.stop()
}

class Publisher {
  readonly #options: PublishOptions
  readonly #unsubscribe: () => void
  readonly #pause = new AbortController()
  readonly #waiting: string[] = []
  #dropped = 0
  #sending: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  #isOver = false

  constructor(options: PublishOptions) {
    this.#options = options
    this.#unsubscribe = options.events.subscribe(({ id, at, event }) => {
      this.#waiting.push(JSON.stringify({ id, at, instance: options.instance, ...event }))
      this.#bound()
      this.#sending ??= this.#send()
    })
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#unsubscribe()
    let takeBack = () => {}
    const late = new Promise<void>((resolve) => {
      takeBack = this.#options.clock.after(FLUSH_MS, resolve)
    })
    this.#pause.abort()
    await Promise.race([this.#sending, late])
    this.#isOver = true
    takeBack()
  }

  async #send(): Promise<void> {
    const { commands, clock } = this.#options
    // Events that are emitted together go together.
    await Promise.resolve()
    while (this.#waiting.length > 0 && !this.#isOver) {
      const batch = this.#waiting.splice(0, BATCH)
      try {
        await commands.script(PUBLISH, [EVENTS_CHANNEL], batch)
      } catch {
        this.#waiting.unshift(...batch)
        this.#bound()
        // At the end there is no time for another try.
        if (this.#pause.signal.aborted) break
        await clock.sleep(PAUSE_MS, this.#pause.signal)
      }
    }
    this.#sending = undefined
  }

  #bound(): void {
    const over = this.#waiting.length - QUEUE
    if (over <= 0) return
    this.#waiting.splice(0, over)
    this.#dropped += over
    try {
      this.#options.onDropped?.(this.#dropped)
    } catch {
      // Who is told must not end the sending.
    }
  }
}
