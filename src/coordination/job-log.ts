import type { Clock } from '../clock.ts'
import { isPrewarmError } from '../errors.ts'
import { ADOPT, BEGIN, END, heartbeatKey, JOB_KEYS, LIST, runnerOf, STILL } from './job-log-scripts.ts'
import { bounded } from './job-record.ts'
import type { Commands, JobLog, JobRecord, Script } from './types.ts'

export interface RedisJobLogOptions {
  commands: Commands
  clock: Clock
  /** This process among others on the same Redis; the same after a restart, so that it finds what it left unfinished. */
  instance: string
  /** Told why a job could not be noted, or that this instance could not say that it is alive. */
  onError?: (error: unknown) => void
}

const HEARTBEAT_TTL_MS = 15_000
const HEARTBEAT_EVERY_MS = 5000
/** Notes kept while Redis is away. */
const MAX_UNSENT = 400

/** A {@linkcode JobLog} in Redis, shared by all instances: the last 200 jobs, and who runs those that have not ended. */
export class RedisJobLog implements JobLog {
  readonly #commands: Commands
  readonly #clock: Clock
  readonly #instance: string
  readonly #onError: (error: unknown) => void
  readonly #mark = crypto.randomUUID()
  /** Notes that Redis has not taken yet, oldest first: they are sent again with each heartbeat. */
  readonly #unsent: { script: Script; record: JobRecord }[] = []
  #sending: Promise<void> | undefined
  #beating: { takeBack: () => void } | undefined

  constructor({ commands, clock, instance, onError = () => {} }: RedisJobLogOptions) {
    this.#commands = commands
    this.#clock = clock
    this.#instance = instance
    this.#onError = onError
  }

  /** Says that this instance is alive, from now on every 5 s: without it, others adopt its jobs. Never throws. */
  async start(): Promise<void> {
    if (this.#beating !== undefined) return
    this.#beating = { takeBack: () => {} }
    await this.#beat()
  }

  /** Says so no more: what has not ended is for others. Safe to call twice, never throws. */
  async stop(): Promise<void> {
    if (this.#beating === undefined) return
    this.#beating.takeBack()
    this.#beating = undefined
    await this.#quietly(() => this.#commands.script(STILL, [heartbeatKey(this.#instance)], [this.#mark]))
  }

  async begin(record: JobRecord): Promise<void> {
    await this.#note(BEGIN, record)
  }

  async end(record: JobRecord): Promise<void> {
    await this.#note(END, record)
  }

  async list(): Promise<JobRecord[]> {
    return recordsOf(await this.#commands.script(LIST, JOB_KEYS, []))
  }

  async get(id: string): Promise<JobRecord | null> {
    return recordsOf([await this.#commands.call('HGET', JOB_KEYS[1], id)])[0] ?? null
  }

  /**
   * Jobs that a dead instance, or this one before a crash, left unfinished; no other instance gets them. The caller ends
   * each (`end`), whether it runs it again or not. Call it after `start`.
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`
   */
  async adopt(): Promise<JobRecord[]> {
    const found = recordsOf(
      await this.#commands.script(ADOPT, JOB_KEYS, [this.#instance, runnerOf(this.#instance, this.#mark)]),
    )
    return found.map((record) => ({ ...record, instance: this.#instance }))
  }

  /** Resolves when the note has been taken, or could not be for now. */
  async #note(script: Script, record: JobRecord): Promise<void> {
    this.#unsent.push({ script, record })
    if (this.#unsent.length > MAX_UNSENT) this.#unsent.shift()
    await this.#send()
  }

  #send(): Promise<void> {
    this.#sending ??= this.#quietly(async () => {
      for (let note = this.#unsent[0]; note !== undefined; note = this.#unsent[0]) {
        const { script, record } = note
        try {
          const text = JSON.stringify(bounded(record))
          await this.#commands.script(script, JOB_KEYS, [record.id, text, runnerOf(this.#instance, this.#mark)])
        } catch (error) {
          // What Redis refuses it will refuse again; nobody else's note should wait behind it.
          if (isPrewarmError(error) && error.code === 'STORE_UNREACHABLE') throw error
          this.#onError(error)
        }
        if (this.#unsent[0] === note) this.#unsent.shift()
      }
    }).finally(() => {
      this.#sending = undefined
    })
    return this.#sending
  }

  async #beat(): Promise<void> {
    const beating = this.#beating
    if (beating === undefined) return
    // Set first: a slow answer must not make the next one late.
    beating.takeBack = this.#clock.after(HEARTBEAT_EVERY_MS, () => void this.#beat())
    const args = [heartbeatKey(this.#instance), this.#mark, 'PX', HEARTBEAT_TTL_MS]
    await this.#quietly(() => this.#commands.call('SET', ...args))
    if (this.#unsent.length > 0) await this.#send()
  }

  async #quietly(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#onError(error)
    }
  }
}

/** What can't be read (an older version's, say) is left out. */
function recordsOf(reply: unknown): JobRecord[] {
  return (reply as (string | null)[]).flatMap((text) => {
    try {
      return text === null ? [] : [JSON.parse(text) as JobRecord]
    } catch {
      return []
    }
  })
}
