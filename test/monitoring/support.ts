/** The monitoring files in a folder of their own, Prometheus' tools on them, and a real Prometheus. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { monitoringFiles } from '../../src/monitoring/files.ts'
import { writeFiles } from '../../src/monitoring/write.ts'
import { findProgram } from '../support/servers.ts'

const START_DEADLINE_MS = 60_000

/** A folder of the test's own, to be removed by it. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'prewarm-test-monitoring-'))
}

/** All that `prewarm monitoring` writes, in a folder of the test's own. */
export async function writtenFolder(): Promise<string> {
  const folder = temporaryFolder()
  await writeFiles(folder, await monitoringFiles(), { force: false })
  return folder
}

/** Runs one of the tools to its end. */
export function tool(name: 'promtool' | 'amtool', args: string[], options: { cwd?: string; input?: string } = {}) {
  const { status, stdout, stderr } = spawnSync(programOf(name), args, { encoding: 'utf8', ...options })
  return { code: status, output: `${stdout}${stderr}` }
}

export function rewrite(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, 'utf8')))
}

export interface Prometheus {
  /** What its HTTP API answers, from `data` on. */
  // biome-ignore lint/suspicious/noExplicitAny: each question has its own answer
  api(path: string): Promise<any>
  stop(): Promise<void>
}

/** Prometheus on a free port, with its data in `folder`, whose prometheus.yml it takes. */
export async function startPrometheus(folder: string): Promise<Prometheus> {
  mkdirSync(join(folder, 'data'))
  const args = ['--config.file=prometheus.yml', '--storage.tsdb.path=data', '--web.listen-address=127.0.0.1:0']
  const child = spawn(programOf('prometheus'), args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  const sweep = () => void child.kill('SIGKILL')
  process.on('exit', sweep)
  const exited = new Promise<void>((resolve) => void child.once('close', () => resolve()))
  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(sweep, 10_000)
    await exited
    clearTimeout(timer)
    process.off('exit', sweep)
  }
  try {
    const url = await addressOf(child)
    const api = async (path: string) => (await (await fetch(`${url}/api/v1/${path}`)).json()).data
    return { api, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Its log names the port that it was given. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    const fail = (why: string) => reject(new Error(`prometheus ${why}: ${output.slice(-2000)}`))
    const timer = setTimeout(() => fail('did not get ready in time'), START_DEADLINE_MS)
    child.stderr?.on('data', (chunk) => {
      output += chunk
      const address = /"?Listening on"?.* address=(127\.0\.0\.1:\d+)/.exec(output)?.[1]
      if (address === undefined || !output.includes('Server is ready')) return
      clearTimeout(timer)
      resolve(`http://${address}`)
    })
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => fail(`ended with ${code}`))
  })
}

/** Looks again and again until `look` finds something. @throws {Error} after `timeoutMs`, with what it saw last */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, timeoutMs = 60_000): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() > deadlineMs) throw new Error(`not in ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}

function programOf(name: string): string {
  const program = findProgram(name)
  if (program === undefined) throw new Error(`${name} is missing: run \`bun test/support/provision.ts\``)
  return program
}
