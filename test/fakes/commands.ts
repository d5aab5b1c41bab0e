import type { Commands, Script } from '../../src/coordination/types.ts'
import { PrewarmError } from '../../src/errors.ts'

type Reply = (keys: readonly string[], args: readonly string[]) => unknown

/** {@linkcode Commands} without a server: replies are given by the test, and it can be down. Publishing reaches its own subscribers. */
export class FakeCommands implements Commands {
  /** Every call, as it came: the name ('SCRIPT' for a script) and its arguments. */
  readonly calls: string[][] = []
  isDown = false
  isClosed = false
  /** Runs before each call. */
  onCall: () => Promise<void> | void = () => {}
  readonly #scripts = new Map<Script, Reply>()
  readonly #commands = new Map<string, (args: readonly string[]) => unknown>()
  readonly #listeners = new Map<string, Set<(message: string) => void>>()

  /** What a script replies. */
  onScript(script: Script, reply: Reply): this {
    this.#scripts.set(script, reply)
    return this
  }

  /** What a command replies. */
  on(name: string, reply: (args: readonly string[]) => unknown): this {
    this.#commands.set(name.toUpperCase(), reply)
    return this
  }

  async call(name: string, ...args: (string | number)[]): Promise<unknown> {
    const texts = args.map(String)
    await this.#arrive([name.toUpperCase(), ...texts])
    if (name.toUpperCase() === 'PUBLISH') return this.publish(texts[0] as string, texts[1] as string)
    const reply = this.#commands.get(name.toUpperCase())
    if (reply === undefined) throw new Error(`the test gave no reply to ${name}`)
    return reply(texts)
  }

  async script(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const texts = args.map(String)
    await this.#arrive(['SCRIPT', ...keys, ...texts])
    const reply = this.#scripts.get(script)
    if (reply === undefined) throw new Error(`the test gave no reply to the script ${script.text.slice(0, 60)}`)
    return reply(keys, texts)
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    await this.#arrive(['SUBSCRIBE', channel])
    const listeners = this.#listeners.get(channel) ?? new Set()
    this.#listeners.set(channel, listeners.add(listener))
    return async () => void listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.isClosed = true
  }

  /** How many have received it. */
  publish(channel: string, message: string): number {
    const listeners = [...(this.#listeners.get(channel) ?? [])]
    for (const listener of listeners) listener(message)
    return listeners.length
  }

  async #arrive(call: string[]): Promise<void> {
    this.calls.push(call)
    await this.onCall()
    if (this.isDown || this.isClosed)
      throw new PrewarmError('STORE_UNREACHABLE', 'Cannot reach Redis at redis://fake: it is down')
  }
}
