import type { Clock } from '../clock.ts'
import type { Connection } from '../coordination/connection.ts'
import { isPrewarmError } from '../errors.ts'
import { isOwnKey } from '../keyspace/known.ts'
import { mayPass } from '../store/redis-errors.ts'
import { CHANGED_CHANNEL, UNTRACKED_CHANNEL } from './scripts.ts'
import type { CacheLink, ChangeListener } from './tier.ts'

export interface HearingOptions {
  /** The connection whose reads the server is to keep track of. */
  main: Connection
  /** The connection that is told (RESP 2, so that the client hands messages on). It does nothing else. */
  ear: Connection
  clock: Clock
  listener: ChangeListener
  /** Also hears what other programs delete. */
  keyspaceEvents: boolean
  /** Told what is amiss with the server's settings or rights. */
  onNotice: (message: string) => void
}

/** The server's own channel for connections whose tracking is redirected. */
const INVALIDATED_CHANNEL = '__redis__:invalidate'
/** How often both connections are asked whether they are alive, ms: a dead one is silent, just as one with no news. */
const HEARTBEAT_MS = 1000
/** Longest wait for the answer, ms, also where calls may take longer: then nothing is heard until it has come. */
const SILENT_MS = 2000
const RETRY_MS = 1000

/**
 * Hears of changes by others: by the server's tracking of what `main` has read, else by what caches publish. It hears nothing
 * from the moment either connection is lost until both are back and the server has said so.
 */
export class Hearing {
  readonly #options: HearingOptions
  #state: CacheLink['hearing'] = 'nothing'
  /** Counts losses: what was begun before one is void. */
  #round = 0
  /** The ear's id at the server; absent where the server, or its rights, know no tracking. */
  #earId: number | 'refused' | undefined
  #takeBack = () => {}
  #isClosed = false
  readonly #noted = new Set<string>()
  #tell = () => {}
  /** Resolves when it has been tried for the first time. */
  readonly tried = new Promise<void>((resolve) => {
    this.#tell = resolve
  })

  constructor(options: HearingOptions) {
    this.#options = options
    const { main, ear } = options
    for (const connection of [main, ear]) {
      connection.onReady(() => void this.#begin())
      connection.redis.on('close', () => this.#lose(connection))
    }
    // Not 'message': that makes one text of several keys.
    ear.redis.on('messageBuffer', (channel: Uint8Array, message: unknown) => this.#hear(textOf(channel), message))
  }

  get state(): CacheLink['hearing'] {
    return this.#state
  }

  close(): void {
    this.#isClosed = true
    this.#lose(this.#options.main)
    this.#tell()
  }

  async #begin(): Promise<void> {
    const { main, ear, clock } = this.#options
    this.#takeBack()
    if (this.#isClosed || !main.isReady || !ear.isReady) return
    const round = ++this.#round
    try {
      const how = await this.#subscribe()
      if (round !== this.#round) return
      this.#state = how
      this.#beat()
    } catch (error) {
      if (round !== this.#round) return
      this.#note(`changes by others can't be heard, so nothing is kept in memory: ${messageOf(error)}`)
      this.#takeBack = clock.after(RETRY_MS, () => void this.#begin())
    }
    this.#tell()
  }

  async #subscribe(): Promise<'tracking' | 'published'> {
    const { ear, keyspaceEvents } = this.#options
    const how = (await this.#track()) ? 'tracking' : 'published'
    if (how === 'published') await ear.run('SUBSCRIBE', (redis) => redis.subscribe(CHANGED_CHANNEL))
    if (keyspaceEvents) await this.#subscribeToEvents()
    return how
  }

  /** False if the server refuses it. */
  async #track(): Promise<boolean> {
    const { main, ear } = this.#options
    if (this.#earId === 'refused') return false
    try {
      // Asked before it listens: after that it may not ask.
      const id = this.#earId ?? Number(await ear.run('CLIENT ID', (redis) => redis.client('ID')))
      this.#earId = id
      await main.run('CLIENT TRACKING', (redis) => redis.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id, 'NOLOOP'))
      await ear.run('SUBSCRIBE', (redis) => redis.subscribe(INVALIDATED_CHANNEL, UNTRACKED_CHANNEL))
      return true
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.#earId = 'refused'
      this.#note(
        `only changes made through caches are heard (not by warming, nor by other programs), as Redis does not track reads: ${messageOf(error)}`,
      )
      return false
    }
  }

  async #subscribeToEvents(): Promise<void> {
    const { main, ear } = this.#options
    const channel = `__keyevent@${ear.redis.options.db ?? 0}__:del`
    try {
      await ear.run('SUBSCRIBE', (redis) => redis.subscribe(channel))
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.#note(`deletes by other programs can't be heard: ${messageOf(error)}`)
      return
    }
    const setting = await main
      .run('CONFIG GET', (redis) => redis.config('GET', 'notify-keyspace-events'))
      .catch((error) => {
        if (!isRefusal(error)) throw error
        return null // Many hosts forbid it, and have another place to set it.
      })
    const flags = Array.isArray(setting) ? String(setting[1] ?? '') : null
    if (flags === null || (flags.includes('E') && /[gA]/.test(flags))) return
    this.#note(
      `deletes by other programs can't be heard: notify-keyspace-events is '${flags}', it needs E and g (CONFIG SET notify-keyspace-events ${flags}Eg)`,
    )
  }

  #hear(channel: string, message: unknown): void {
    const { listener } = this.#options
    if (channel.startsWith('__keyevent@')) {
      const key = textOf(message)
      if (!isOwnKey(key)) listener.onDeleted?.([key])
      return
    }
    const keys = channel === INVALIDATED_CHANNEL ? tracked(message) : published(textOf(message))
    if (keys === null) listener.onChanged(null)
    else if (keys.length > 0) listener.onChanged(keys)
  }

  #lose(connection: Connection): void {
    this.#takeBack()
    this.#round++
    if (connection === this.#options.ear) this.#earId = undefined
    if (this.#state === 'nothing') return
    this.#state = 'nothing'
    this.#options.listener.onChanged(null)
  }

  /** Looks, from time to time, whether both are alive; one that does not answer is cut in the end, and not trusted before. */
  #beat(): void {
    const { main, ear, clock } = this.#options
    const round = this.#round
    this.#takeBack = clock.after(HEARTBEAT_MS, () => {
      const asked = [main, ear].map((one) => one.run('PING', (redis) => redis.ping()).catch(() => {}))
      let silent = -1
      const takeBack = clock.after(SILENT_MS, () => {
        if (round !== this.#round) return
        this.#lose(main)
        silent = this.#round
      })
      void Promise.all(asked).then(() => {
        takeBack()
        if (round === this.#round) this.#beat()
        else if (silent === this.#round) void this.#begin()
      })
    })
  }

  /** Says a thing once. */
  #note(message: string): void {
    if (this.#noted.has(message)) return
    this.#noted.add(message)
    this.#options.onNotice(message)
  }
}

/** The keys of an invalidation, without prewarm's own records, which nobody keeps in memory. Null: the database was emptied. */
function tracked(message: unknown): string[] | null {
  return Array.isArray(message) ? message.map(textOf).filter((key) => !isOwnKey(key)) : null
}

/** What another cache published; null, as nobody knows what it meant, if it makes no sense. */
function published(message: string): string[] | null {
  try {
    const keys: unknown = JSON.parse(message)
    return Array.isArray(keys) && keys.every((key) => typeof key === 'string') ? keys : null
  } catch {
    return null
  }
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

function textOf(bytes: unknown): string {
  return bytes instanceof Uint8Array ? decoder.decode(bytes) : String(bytes)
}

/** The server said no, and will say so again. */
function isRefusal(error: unknown): boolean {
  return isPrewarmError(error) && error.code === 'STORE_REFUSED' && !mayPass(error.detail ?? '')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
