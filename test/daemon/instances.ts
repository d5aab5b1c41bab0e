/** Several `prewarm serve` of one machine: where each listens, what all of them tell on Redis' channel. */
import { readFileSync } from 'node:fs'
import process from 'node:process'
import type { Redis } from 'ioredis'
import type { EventOf, EventType, WarmEvent } from '../../src/events/types.ts'
import type { Finished } from '../cli/support.ts'
import { connect, until } from '../support/warming.ts'
import type { DaemonMachine } from './support.ts'

export interface Instance {
  readonly pid: number
  readonly url: string
  /** Sends a signal; resolves when the process has ended. */
  end(signal: NodeJS.Signals): Promise<Finished>
}

/** Starts `prewarm serve` on a free port; resolves when it listens. */
export async function serve(machine: DaemonMachine, ...args: string[]): Promise<Instance> {
  const { child, finished } = machine.start('serve', '--port', '0', '--json', ...args)
  let printed = ''
  const line = new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', (chunk) => {
      printed += chunk
      if (printed.includes('\n')) resolve(printed)
    })
    void finished.then(({ stderr }) => reject(new Error(`it ended: ${stderr}`)))
  })
  const { url, pid } = JSON.parse(await line)
  return {
    pid,
    url,
    end(signal) {
      child.kill(signal)
      return finished
    },
  }
}

/** What a process does, as /proc says: 'T' is stopped, 'Z' ended. */
export function stateOf(pid: number): string {
  return /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? ''
}

/** SIGSTOP; resolves when all its threads stand still. */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await until(() => stateOf(pid) === 'T')
}

export type Told<T extends EventType = EventType> = EventOf<T> & { instance: string; id: number; at: string }

/** All events of all instances on one Redis. */
export class Ears {
  readonly heard: Told[] = []
  readonly #redis: Redis

  private constructor(url: string) {
    this.#redis = connect(url)
    this.#redis.on('message', (_, text: string) => this.heard.push(JSON.parse(text)))
  }

  static async on(url: string): Promise<Ears> {
    const ears = new Ears(url)
    await ears.#redis.subscribe('prewarm:events')
    return ears
  }

  of<T extends WarmEvent['type']>(type: T, matches: (event: Told<T>) => boolean = () => true): Told<T>[] {
    return (this.heard as Told<T>[]).filter((event) => event.type === type && matches(event))
  }

  /** The first such event, when it has come. */
  async first<T extends EventType>(type: T, matches: (event: Told<T>) => boolean): Promise<Told<T>> {
    await until(() => this.of(type, matches).length > 0)
    return this.of(type, matches)[0] as Told<T>
  }

  close(): void {
    this.#redis.disconnect()
  }
}
