import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { assertEquals, assertRejects, assertStrictEquals } from '@std/assert'
import * as prewarm from '../../src/index.ts'
import { currentRuntime } from '../../src/runtime/index.ts'

describe('a configuration that is read again', () => {
  const { importConfig, importConfigAgain } = currentRuntime()
  let home: string
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'prewarm-test-reread-'))
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  const write = (name: string, text: string) => writeFileSync(join(home, name), text)
  const file = () => join(home, 'prewarm.config.ts')

  it('is as it is written now, with what it imports, by name and by a computed one', async () => {
    write(
      'prewarm.config.ts',
      `import { a } from './a.ts'\nexport default [a, (await import(import.meta.dirname + '/c.ts')).c]`,
    )
    write('a.ts', `export { b as a } from './b'`)
    for (const round of [1, 2, 3]) {
      write('b.ts', `export const b = ${round}`)
      write('c.ts', `export const c = ${round}`)
      const read = round === 1 ? importConfig : importConfigAgain
      assertEquals((await read(file())).default, [round, round])
    }
  })

  it('is read again also after it could not be', async () => {
    write('prewarm.config.ts', `import { a } from './b.ts'\nexport default a`)
    write('b.ts', `export { a } from './a.ts'`)
    const texts = [
      'throw new Error(); export const a = 1',
      'export const a = {',
      `import './none.ts'`,
      'export const c = 1',
    ]
    for (const broken of texts) {
      write('a.ts', broken)
      await assertRejects(() => importConfigAgain(file()))
      write('a.ts', `export const a = '${broken.length}'`)
      assertEquals((await importConfigAgain(file())).default, String(broken.length))
    }
  })

  it('means the same prewarm as before', async () => {
    write('prewarm.config.ts', `export { defineConfig as default } from 'prewarm'`)
    for (const read of [importConfig, importConfigAgain]) {
      const { default: found } = await read(file())
      assertStrictEquals(found, prewarm.defineConfig)
    }
  })
})
