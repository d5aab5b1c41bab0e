/** The README's own words, run: its configuration, and each line of its shell block of the HTTP API, by bash and curl. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

const ROOT = join(import.meta.dirname, '..', '..')
const MAIN = join(ROOT, 'src', 'cli', 'main.ts')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

/** A line of the block. */
export interface Line {
  command: string
  /** What stands behind it, or, if nothing does, the comment above it. */
  comment: string
}

/** One answer to a curl of the README's. */
export interface Answered {
  method: string
  /** With its query. */
  path: string
  response: Response
  text: string
}

/** The first configuration that it shows. */
export function readmeConfig(): string {
  return block(README, 'ts', 'export default defineConfig')
}

/** The shell block of the HTTP API: what sets variables, and what calls. */
export function readmeLines(): { settings: string[]; calls: Line[] } {
  const settings: string[] = []
  const calls: Line[] = []
  let above = ''
  for (const line of block(README.slice(README.indexOf('\n## HTTP API')), 'sh', 'curl').split('\n')) {
    if (line.trim() === '') above = ''
    else if (line.startsWith('# ')) above = line.slice(2)
    else if (line.startsWith('curl ')) {
      const [command = '', behind = ''] = line.split(/\s+# /)
      calls.push({ command, comment: behind === '' ? above : behind })
    } else if (/^\w+=/.test(line)) settings.push(line)
    else throw new Error(`the README's block has a line that is no setting, no call and no comment: ${line}`)
  }
  return { settings, calls }
}

function block(text: string, language: string, having: string): string {
  for (const [, inside = ''] of text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm')))
    if (inside.includes(having)) return inside
  throw new Error(`the README has no block of ${language} with '${having}'`)
}

/** `prewarm` is the program of this repository; `curl` is curl, and what it is answered is kept. */
const PRELUDE = `set -eu
prewarm() { "$BUN" "$MAIN" "$@"; }
n=0
curl() {
  n=$((n + 1))
  command curl -sS -o "$out/$n.body" -D "$out/$n.head" -w '%{method} %{url_effective}' "$@" > "$out/$n.call"
}
`

/** A shell in `home`, with these variables. */
export class Shell {
  readonly #home: string
  variables: Record<string, string>

  constructor(home: string, variables: Record<string, string>) {
    this.#home = home
    this.variables = variables
  }

  /** What a variable is after these lines. */
  async value(lines: readonly string[], name: string): Promise<string> {
    const { child } = this.#start(`${lines.join('\n')}\nprintf %s "$${name}"`)
    let text = ''
    child.stdout?.on('data', (chunk) => {
      text += chunk
    })
    await ended(child)
    return text
  }

  /** Runs a line to its end; an answer for each of its calls. */
  async run(line: string): Promise<Answered[]> {
    const { child, out } = this.#start(line)
    await ended(child)
    return readdirSync(out)
      .filter((name) => name.endsWith('.call'))
      .sort()
      .map((name) => {
        const [method = '', url = ''] = readFileSync(join(out, name), 'utf8').split(' ')
        const { pathname, search } = new URL(url)
        const body = readFileSync(join(out, name.replace('.call', '.body')), 'utf8')
        return { method, path: pathname + search, response: headOf(out, name.replace('.call', '.head')), text: body }
      })
  }

  /** Runs a line that ends by itself only with what it calls; `answer` is what has come until now, null before its head has. */
  listen(line: string): { answer: () => { response: Response; text: string } | null; end(): Promise<void> } {
    const { child, out } = this.#start(line)
    return {
      answer: () => {
        if (!['1.head', '1.body'].every((name) => existsSync(join(out, name)))) return null
        const isWhole = readFileSync(join(out, '1.head'), 'utf8').endsWith('\r\n\r\n')
        return isWhole ? { response: headOf(out, '1.head'), text: readFileSync(join(out, '1.body'), 'utf8') } : null
      },
      async end() {
        const closed = new Promise((resolve) => child.once('close', resolve))
        process.kill(-(child.pid as number), 'SIGTERM')
        await closed
      },
    }
  }

  #start(script: string): { child: ChildProcess; out: string } {
    const out = mkdtempSync(join(this.#home, 'curl-'))
    const env = { PATH: process.env.PATH ?? '', HOME: this.#home, BUN: process.execPath, MAIN, out, ...this.variables }
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
    const child = spawn('bash', ['-c', PRELUDE + script], { cwd: this.#home, env, stdio, detached: true })
    return { child, out }
  }
}

/** @throws {Error} if it did not end well */
function ended(child: ChildProcess): Promise<void> {
  let said = ''
  child.stderr?.on('data', (chunk) => {
    said += chunk
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`bash ended with ${code}: ${said}`))))
  })
}

/** Status and headers, as curl wrote them down. */
function headOf(out: string, name: string): Response {
  const [first = '', ...lines] = readFileSync(join(out, name), 'utf8').trim().split('\r\n')
  const headers = lines.map((line): [string, string] => [
    line.slice(0, line.indexOf(':')),
    line.slice(line.indexOf(':') + 1).trim(),
  ])
  return new Response(null, { status: Number(first.split(' ')[1]), headers })
}
