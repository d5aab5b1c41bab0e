import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertEquals } from '@std/assert'

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** What `bun init` writes. */
const BUN_INIT = {
  lib: ['ESNext'],
  target: 'ESNext',
  module: 'Preserve',
  moduleDetection: 'force',
  moduleResolution: 'bundler',
  allowImportingTsExtensions: true,
  verbatimModuleSyntax: true,
  noEmit: true,
  strict: true,
  skipLibCheck: true,
  types: ['bun'],
}
const STRICTEST = {
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noPropertyAccessFromIndexSignature: true,
  noImplicitReturns: true,
  noImplicitOverride: true,
  noFallthroughCasesInSwitch: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
}

/** The package is TypeScript, so a user's tsc checks it by the user's options. */
describe('tsc in a project that imports prewarm', () => {
  let home: string
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'prewarm-types-'))
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  const found: [string, object][] = [
    ['as bun init sets it up', {}],
    ['with every check there is', STRICTEST],
    ['as for Node, with the DOM', { lib: ['ESNext', 'DOM'], module: 'NodeNext', moduleResolution: 'NodeNext' }],
  ]
  for (const [name, options] of found) {
    it(`finds no error ${name}`, { timeout: 120_000 }, () => {
      const compilerOptions = { ...BUN_INIT, typeRoots: [at('node_modules/@types')], ...options }
      const { exports } = JSON.parse(readFileSync(at('package.json'), 'utf8')) as { exports: Record<string, string> }
      const files = Object.values(exports)
        .filter((file) => file.endsWith('.ts'))
        .map(at)
      writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
      const tsc = spawnSync(process.execPath, [at('node_modules/.bin/tsc'), '-p', home], { encoding: 'utf8' })
      assertEquals([tsc.stdout, tsc.stderr, tsc.status], ['', '', 0])
    })
  }
})
