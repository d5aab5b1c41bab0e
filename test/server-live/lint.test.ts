/** The description of the API, as a linter of others' sees it. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertEquals } from '@std/assert'
import { DOCUMENT, type Document } from '../server/support.ts'

/** A probe that anybody may ask has nothing that the caller could do wrong. */
const CONFIG = `extends: [recommended]
rules:
  operation-4xx-response: off
`

interface Found {
  totals: { errors: number; warnings: number }
  problems: { ruleId: string; message: string }[]
}

function lint(document: Document): Found {
  const folder = mkdtempSync(join(tmpdir(), 'prewarm-test-lint-'))
  try {
    writeFileSync(join(folder, 'openapi.json'), JSON.stringify(document))
    writeFileSync(join(folder, 'redocly.yaml'), CONFIG)
    const main = fileURLToPath(import.meta.resolve('@redocly/cli/bin/cli.js'))
    const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', NO_COLOR: '1' }
    const args = [main, 'lint', 'openapi.json', '--format=json']
    const { stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: folder,
      env,
      encoding: 'utf8',
      timeout: 60_000,
    })
    const at = stdout.indexOf('{')
    if (at === -1) throw new Error(`redocly said nothing: ${stderr}`)
    return JSON.parse(stdout.slice(at))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('openapi.json', () => {
  it('has nothing that redocly would complain of', { timeout: 60_000 }, () => {
    const { totals, problems } = lint(DOCUMENT)
    assertEquals(
      problems.map(({ ruleId, message }) => `${ruleId}: ${message}`),
      [],
    )
    assertEquals([totals.errors, totals.warnings], [0, 0])
  })

  it('is really looked at', { timeout: 60_000 }, () => {
    const broken = structuredClone(DOCUMENT) as Document & { security: object[] }
    broken.security = [{ nobody: [] }]
    assertEquals(lint(broken).totals.errors > 0, true)
  })
})
