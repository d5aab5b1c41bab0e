import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertStringIncludes } from '@std/assert'
import type { Cli } from '../../src/cli/context.ts'
import { tell } from '../../src/cli/failure.ts'
import type { Io } from '../../src/cli/io.ts'
import { monitoringCommand } from '../../src/cli/monitoring.ts'
import { PrewarmError } from '../../src/errors.ts'
import { monitoringFiles } from '../../src/monitoring/files.ts'
import type { Runtime } from '../../src/runtime/types.ts'
import { removeFolder, temporaryFolder } from './support.ts'

const NAMES = [
  'README.md',
  'alertmanager.yml',
  'grafana-dashboard.json',
  'prewarm.rules.test.yml',
  'prewarm.rules.yml',
  'prometheus.yml',
]

describe('prewarm monitoring', () => {
  let home: string
  let answers: string[]
  let io: Io
  const run = async (...args: string[]) => {
    const runtime = { resolvePath: (path: string) => resolve(home, path) } as Runtime
    const cli: Cli = { io, runtime, argv: args, tasks: undefined }
    await monitoringCommand(cli).exitOverride().parseAsync(args, { from: 'user' })
  }

  beforeEach(() => {
    home = temporaryFolder()
    answers = []
    io = {
      isLive: false,
      columns: 80,
      answer: async (text) => void answers.push(text),
      note: () => {},
      live: () => {},
      paint: (_, text) => text,
    }
  })
  afterEach(() => removeFolder(home))

  it('writes everything into ./monitoring, and keeps what is the same already', async () => {
    await run()
    const folder = join(home, 'monitoring')
    assertEquals(readdirSync(folder).sort(), NAMES)
    for (const [name, text] of await monitoringFiles()) assertEquals(readFileSync(join(folder, name), 'utf8'), text)
    assertStringIncludes(answers[0] as string, 'written  prewarm.rules.yml')
    await run('--json')
    const { dir, files } = JSON.parse(answers[1] as string)
    assertEquals(dir, folder)
    assertEquals(files.length, NAMES.length)
    assert(files.every(({ status }: { status: string }) => status === 'kept'))
  })

  it('replaces files that differ only with --force; without, it changes nothing', async () => {
    mkdirSync(join(home, 'deep/er'), { recursive: true })
    const mine = join(home, 'deep/er/prometheus.yml')
    writeFileSync(mine, 'mine')
    const error = await assertRejects(() => run('deep/er'), PrewarmError, 'prometheus.yml is there already and differs')
    assertEquals([error.code, await tell(error, io, false)], ['USAGE', 2])
    assertEquals([readFileSync(mine, 'utf8'), readdirSync(join(home, 'deep/er')).length], ['mine', 1])
    await run('deep/er', '--force')
    assertStringIncludes(answers[0] as string, 'replaced prometheus.yml')
    assertStringIncludes(readFileSync(mine, 'utf8'), 'scrape_configs')
    assertEquals(readdirSync(join(home, 'deep/er')).sort(), NAMES)
  })

  it('says so where it can’t write: the folder is a file, a file is a folder', async () => {
    writeFileSync(join(home, 'file'), '')
    const error = await assertRejects(() => run('file'), PrewarmError, `Cannot write ${join(home, 'file')}`)
    assertEquals(error.code, 'USAGE')
    mkdirSync(join(home, 'out/alertmanager.yml'), { recursive: true })
    await assertRejects(() => run('out', '--force'), PrewarmError, 'alertmanager.yml')
    assertEquals(readdirSync(join(home, 'out')), ['alertmanager.yml'])
  })

  it('leaves nothing half-written when a file can’t be put down', async () => {
    const { writeFiles } = await import('../../src/monitoring/write.ts')
    const folder = join(home, 'out')
    const files = new Map([
      ['first.yml', 'first'],
      ['no/such/folder.yml', 'second'],
    ])
    await assertRejects(() => writeFiles(folder, files, { force: false }), PrewarmError, 'Cannot write')
    assertEquals(readdirSync(folder), [])
    assert(existsSync(folder))
    chmodSync(folder, 0o700)
  })
})
