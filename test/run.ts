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
/** Folders below test/ whose tests run in Bun only: they need servers, start `bun`, or test Bun's own edges. */
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

async function main(wanted: string[]): Promise<number> {
  const files = testFiles().filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  if (files.length === 0) {
    console.error(`no test file's path contains ${wanted.join(' or ')}`)
    return 1
  }
  provision()
  const results = [await bunTest(files)]
  const portable = files.filter((file) => !BUN_ONLY.some((folder) => file.startsWith(`test/${folder}/`)))
  if (portable.length > 0) results.push(await denoTest(portable))
  const passed = results.reduce((sum, result) => sum + result.passed, 0)
  const failed = results.reduce((sum, result) => sum + result.failed, 0)
  console.log(`\n${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
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
  // Hooks have this long, whatever they say themselves; the runner's default, 5 s, is too short for servers on a busy machine.
  const args = ['test', '--timeout', '60000', ...files.map((file) => `./${file}`)]
  const { output, code } = await stream(process.execPath, args)
  const passed = lastNumber(output, /^ *(\d+) pass$/gm)
  const failed = lastNumber(output, /^ *(\d+) fail$/gm) + lastNumber(output, /^ *(\d+) errors?$/gm)
  return settle('bun', code, { passed, failed })
}

/** A line per `it`, and after those of a `describe` one for itself, less indented: that one is not counted. */
async function denoTest(files: string[]): Promise<Result> {
  console.log(`\n# deno test: ${files.length} files`)
  const args = ['test', '--no-check', '--no-lock', '-A', '--node-modules-dir=manual', ...files]
  const { output, code } = await stream(denoProgram(), args)
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
