/**
 * The whole test run: real servers, then `bun test` on everything, then `deno test` on what does not belong to one runtime.
 * Arguments narrow it down to the files whose path contains one of them: `bun run test codec`.
 */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import process from 'node:process'
import { provision } from './support/provision.ts'

const ROOT = join(import.meta.dirname, '..')
/**
 * Folders below test/ whose tests run in Bun only: they need servers, start `bun`, or test Bun's own edges. Where real processes
 * share a busy machine a wait may run out: a file of these that fails is run once more, alone, and what fails only once is
 * told as flaky.
 */
const BUN_ONLY = [
  'integration',
  'faults',
  'cli',
  'recipes',
  'runtime',
  'server-live',
  'daemon',
  'monitoring',
  'cache-live',
]

interface Result {
  passed: number
  failed: number
}

/** A test that failed: its file, and what the runner printed of it. */
interface Failed {
  file: string
  output: string
}

/** Told again at the very end, where nobody has to look for them. */
const failures: Failed[] = []
const flaky: Failed[] = []

async function main(wanted: string[]): Promise<number> {
  const files = testFiles().filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  if (files.length === 0) {
    console.error(`no test file's path contains ${wanted.join(' or ')}`)
    return 1
  }
  provision()
  const results = [await bunTest(files)]
  const portable = files.filter((file) => !isBunOnly(file))
  if (portable.length > 0) results.push(await denoTest(portable))
  const passed = results.reduce((sum, result) => sum + result.passed, 0)
  const failed = results.reduce((sum, result) => sum + result.failed, 0)
  if (failures.length + flaky.length > 0) console.log('\n# failures')
  for (const { file, output } of flaky) console.log(`\nflaky, passed when run again: ${file}\n${output}`)
  for (const { file, output } of failures) console.log(`\nfailed: ${file}\n${output}`)
  console.log(`\n${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

function isBunOnly(file: string): boolean {
  return BUN_ONLY.some((folder) => file.startsWith(`test/${folder}/`))
}

function testFiles(): string[] {
  return readdirSync(join(ROOT, 'test'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort()
}

/** Its summary ends ` 12 pass`, ` 0 fail` and, for what broke outside a test, ` 1 error`. */
async function bunTest(files: string[]): Promise<Result> {
  console.log(`\n# bun test: ${files.length} files`)
  const { failed: broken, ...result } = await runBun(files)
  const again = [...new Set(broken.map(({ file }) => file))].filter(isBunOnly)
  if (again.length === 0 || again.length > MOST_AGAIN) {
    failures.push(...broken)
    return settle('bun', result.code, { passed: result.passed, failed: result.count })
  }
  console.log(`\n# bun test, once more: ${again.join(', ')}`)
  const second = await runBun(again)
  failures.push(...broken.filter(({ file }) => !again.includes(file)), ...second.failed)
  flaky.push(...broken.filter(({ file }) => again.includes(file) && !second.failed.some((one) => one.file === file)))
  const elsewhere = result.count - broken.filter(({ file }) => again.includes(file)).length
  const failed = elsewhere + second.count
  const code = failed === 0 ? second.code : result.code
  return settle('bun', code, { passed: result.passed + (result.count - failed), failed })
}

/** More files than these that fail at once are no accident. */
const MOST_AGAIN = 3

async function runBun(files: string[]): Promise<{ passed: number; count: number; code: number; failed: Failed[] }> {
  // Hooks have this long, whatever they say themselves; the runner's default, 5 s, is too short for servers on a busy machine.
  const args = ['test', '--timeout', '60000', ...files.map((file) => `./${file}`)]
  const { output, code } = await stream(process.execPath, args)
  const passed = lastNumber(output, /^ *(\d+) pass$/gm)
  const failed = lastNumber(output, /^ *(\d+) fail$/gm) + lastNumber(output, /^ *(\d+) errors?$/gm)
  return { passed, count: failed, code, failed: failedTests(output) }
}

/** What bun printed before each `(fail)`, and under which file. */
function failedTests(output: string): Failed[] {
  const failed: Failed[] = []
  let file = ''
  let lines: string[] = []
  for (const line of output.split('\n')) {
    const head = /^(test\/.*\.test\.ts):$/.exec(line)?.[1]
    // The names of all that failed come once more.
    if (/^\d+ tests? failed:$/.test(line)) break
    if (head !== undefined) file = head
    if (line.startsWith('(fail)')) failed.push({ file, output: [...lines, line].slice(-MOST_LINES).join('\n') })
    if (head !== undefined || /^\((pass|fail|skip|todo)\)/.test(line)) lines = []
    else lines.push(line)
  }
  return failed
}

const MOST_LINES = 60

/** A line per `it`, and after those of a `describe` one for itself, less indented: that one is not counted. */
async function denoTest(files: string[]): Promise<Result> {
  console.log(`\n# deno test: ${files.length} files`)
  const args = ['test', '--no-check', '--no-lock', '-A', '--node-modules-dir=manual', ...files]
  const { output, code } = await stream(denoProgram(), args)
  const told = /^ ERRORS $([\s\S]*?)^ FAILURES $/m.exec(output)?.[1]
  if (told !== undefined)
    failures.push({
      file: 'deno',
      output: told
        .trim()
        .split('\n')
        .slice(0, 4 * MOST_LINES)
        .join('\n'),
    })
  const result = { passed: 0, failed: 0 }
  let before = 0
  for (const [, indent = '', verdict = ''] of output.matchAll(/^( *)\S.* \.\.\. (ok|FAILED)(?= \()/gm)) {
    const isGroup = indent.length < before
    before = indent.length
    if (isGroup) continue
    if (verdict === 'ok') result.passed++
    else result.failed++
  }
  return settle('deno', code, result)
}

/** A runner that fails without naming a failed test (a crash, say) counts as one failure; so does one that ran nothing. */
function settle(runner: string, code: number, result: Result): Result {
  if (result.failed > 0 || (code === 0 && result.passed > 0)) return result
  console.error(`${runner} test ended with code ${code} after ${result.passed} passed tests`)
  return { ...result, failed: 1 }
}

/** npm's `deno` fetches its program in a postinstall, which Bun does not run; the program is in the platform's package. */
function denoProgram(): string {
  const scope = join(ROOT, 'node_modules', '@deno')
  const name = process.platform === 'win32' ? 'deno.exe' : 'deno'
  const folders = existsSync(scope) ? readdirSync(scope) : []
  const program = folders.map((folder) => join(scope, folder, name)).find((path) => existsSync(path))
  if (program === undefined) throw new Error('deno is missing from node_modules: run `bun install`')
  return program
}

/** Runs a program, passing its output through; ends with its output without colours, and its exit code (1 for a signal). */
function stream(program: string, args: string[]): Promise<{ output: string; code: number }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk) => {
      process.stdout.write(chunk)
      output += chunk
    })
    child.stderr.on('data', (chunk) => {
      process.stderr.write(chunk)
      output += chunk
    })
    const end = (): void => void child.kill('SIGTERM')
    process.once('SIGTERM', end)
    child.once('error', reject)
    child.once('close', () => process.off('SIGTERM', end))
    child.once('close', (code) => resolve({ output: output.replace(/\x1b\[[0-9;]*m/g, ''), code: code ?? 1 }))
  })
}

function lastNumber(text: string, pattern: RegExp): number {
  return Number([...text.matchAll(pattern)].at(-1)?.[1] ?? 0)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  console.log('\n0 passed, 1 failed')
  process.exitCode = 1
}
