import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { ROOT } from '../support/source.ts'
import { tempFolder } from '../support/warming.ts'

const FIXTURES = join(ROOT, 'test', 'adapters', 'fixtures')

interface Report {
  numTotalTests: number
  numPassedTests: number
  testResults: {
    message: string
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[]
  }[]
}

describe('@keyv/test-suite', { timeout: 100_000 }, () => {
  let server: RedisServer
  before(async () => {
    server = await startRedisServer()
  })
  after(() => server.stop())

  it('passes as it is', async () => {
    const { report, output } = await runSuite(server.url)
    if (report === null) throw new Error(`vitest gave no report: ${output}`)
    const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults)
    assertEquals(
      tests.filter(({ status }) => status !== 'passed').map((one) => [one.fullName, one.status, one.failureMessages]),
      [],
      report.testResults.map(({ message }) => message).join('\n'),
    )
    // As many as the suite of 2.1 has with its iterator's.
    assertEquals([report.numTotalTests, report.numPassedTests], [tests.length, tests.length])
    assertEquals(tests.length >= 42, true, `only ${tests.length} tests ran`)
  })
})

/** Vitest, in this runtime; null if it ended without a report. */
function runSuite(redisUrl: string): Promise<{ report: Report | null; output: string }> {
  const file = join(tempFolder(), 'report.json')
  const program = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
  const args = ['--bun', program, 'run', '--root', FIXTURES, '--config', join(FIXTURES, 'vitest.config.ts')]
  const env = { ...process.env, PREWARM_TEST_REDIS: redisUrl, NODE_ENV: 'test' }
  return new Promise((resolve, reject) => {
    const options = ['--reporter', 'json', '--outputFile', file, '--no-cache', '--pool', 'threads']
    const child = spawn(process.execPath, [...args, ...options], { cwd: FIXTURES, env, timeout: 90_000 })
    let output = ''
    const add = (chunk: unknown): void => {
      output += chunk
    }
    child.stdout.on('data', add)
    child.stderr.on('data', add)
    child.once('error', reject)
    child.once('close', () => {
      resolve({ output, report: existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : null })
    })
  })
}
