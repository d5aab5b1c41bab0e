/** Runs the command line as a user does: another process, its exit code, stdout and stderr. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')
export const FIXTURES = join(import.meta.dirname, 'fixtures')
export const CONFIG = join(FIXTURES, 'prewarm.config.ts')

export interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

export interface Started {
  child: ChildProcess
  finished: Promise<Finished>
  /** Resolves when `text` has appeared on stderr; rejects if the program ends first. */
  says(text: string): Promise<void>
}

/** A user's machine: a folder to work in, a folder for state, and no environment but what is given. */
export class Machine {
  readonly home = mkdtempSync(join(tmpdir(), 'prewarm-test-cli-'))
  readonly state = join(this.home, 'state')
  env: Record<string, string> = {}

  start(...args: string[]): Started {
    const env = { PATH: process.env.PATH ?? '', HOME: this.home, XDG_STATE_HOME: this.state, ...this.env }
    const child = spawn(process.execPath, [MAIN, ...args], { cwd: this.home, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    const listeners = new Set<() => void>()
    child.stdout?.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr?.on('data', (chunk) => {
      stderr += chunk
      for (const listener of listeners) listener()
    })
    const finished = new Promise<Finished>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, stdout, stderr }))
    })
    const says = (text: string) =>
      new Promise<void>((resolve, reject) => {
        const look = () => stderr.includes(text) && resolve()
        listeners.add(look)
        look()
        void finished.then(() => reject(new Error(`ended without saying '${text}': ${stderr}`)))
      })
    return { child, finished, says }
  }

  run(...args: string[]): Promise<Finished> {
    return this.start(...args).finished
  }

  /** Runs with `--json`; fails unless stdout is exactly one JSON object. */
  // biome-ignore lint/suspicious/noExplicitAny: each command's answer is its own
  async json(...args: string[]): Promise<{ code: number | null; answer: any; stderr: string }> {
    const { code, stdout, stderr } = await this.run(...args, '--json')
    return { code, answer: oneObject(stdout), stderr }
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true })
  }
}

/** The one JSON object that `stdout` is. */
// biome-ignore lint/suspicious/noExplicitAny: each command's answer is its own
export function oneObject(stdout: string): any {
  const answer = JSON.parse(stdout)
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) throw new Error(`no object: ${stdout}`)
  return answer
}
