import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { loadConfig } from '../../src/config/load.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { Machine } from './support.ts'

describe('prewarm without a configuration', () => {
  let machine: Machine
  beforeEach(() => {
    machine = new Machine()
  })
  afterEach(() => machine.remove())

  it('init writes one that loads without error or warning', async () => {
    assertEquals((await machine.run('init')).code, 0)
    const file = join(machine.home, 'prewarm.config.ts')
    const config = await loadConfig(file, {}, currentRuntime())
    assertEquals([...config.tasks.keys()], ['products'])
    assertEquals(config.warnings, [])
  })

  it('init replaces a file only with --force', async () => {
    const file = join(machine.home, 'prewarm.config.ts')
    await writeFile(file, 'mine')
    const refused = await machine.run('init')
    assertEquals(refused.code, 2)
    assertStringIncludes(refused.stderr, 'error: prewarm.config.ts is there already')
    assertEquals(await readFile(file, 'utf8'), 'mine')
    assertEquals((await machine.run('init', '--force')).code, 0)
    assert((await readFile(file, 'utf8')).includes('defineConfig'))
  })

  it('has help with an example for every command', async () => {
    const names = ['init', 'plan', 'run', 'estimate', 'stats', 'verify']
    for (const name of names) {
      const { code, stdout } = await machine.run(name, '--help')
      assertEquals(code, 0)
      assertStringIncludes(stdout, `Example:\n  $ prewarm ${name}`)
    }
    const { code, stdout } = await machine.run('--help')
    assertEquals(code, 0)
    for (const name of [...names, 'demo']) assertStringIncludes(stdout, `  ${name} `)
  })

  it('tells its version, a wrong command and a missing one', async () => {
    const version = await machine.run('--version')
    assertEquals([version.code, version.stdout.trim()], [0, '0.1.0'])
    const wrong = await machine.run('rnu')
    assertEquals(wrong.code, 2)
    assertStringIncludes(wrong.stderr, 'Did you mean run?')
    assertEquals((await machine.run()).code, 2)
  })

  it('tells each mistake of a configuration on a line of its own', async () => {
    await writeFile(
      join(machine.home, 'prewarm.config.ts'),
      "export default { workers: -1, tasks: { a: { kind: 'load', key: '', load: () => ({}) } } }",
    )
    const { code, stderr } = await machine.run('run')
    assertEquals(code, 2)
    const lines = stderr.trimEnd().split('\n')
    assertEquals(lines.length, 2)
    assert(lines.every((line) => line.startsWith('error: ')))
  })
})
