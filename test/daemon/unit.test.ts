import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { systemdUnit } from '../../src/daemon/unit.ts'
import { findProgram } from '../support/servers.ts'
import { DaemonMachine, SLOW } from './support.ts'

describe('a systemd unit', () => {
  let machine: DaemonMachine
  before(() => {
    machine = new DaemonMachine()
  })
  after(() => machine.remove())

  it('runs serve with absolute paths, reloads by SIGHUP, and waits longer than the drain', SLOW, async () => {
    const { code, answer, stderr } = await machine.json(
      'daemon',
      'unit',
      '--port',
      '4321',
      '--drain',
      '40s',
      '--name',
      'a',
    )
    assertEquals(code, 0, stderr)
    const line = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(answer.unit)?.[1] ?? ''
    const [program = '', main = '', ...args] = line('ExecStart').split(' ')
    assertEquals([program, main.endsWith('/src/cli/main.ts'), main.startsWith('/')], [process.execPath, true, true])
    const expected = ['serve', '--config', machine.config, '--port', '4321', '--drain', '40000', '--log-format', 'text']
    assertEquals(args, expected)
    assertEquals(line('ExecReload'), '/bin/kill -HUP $MAINPID')
    assertEquals(
      [line('Type'), line('RuntimeDirectory'), line('EnvironmentFile')],
      ['exec', 'prewarm-a', '-/etc/prewarm/a.env'],
    )
    assert(Number(line('TimeoutStopSec')) > 45)
    // Without USER, which Bun takes the name from.
    assertEquals(line('User'), String(process.getuid?.()))
    assertEquals(line('NoNewPrivileges'), 'yes')

    const leaking = await machine.json('daemon', 'unit', '--redis', 'redis://:hunter2@localhost')
    assertEquals([leaking.code, leaking.answer.error.code], [2, 'USAGE'])
    assert(!JSON.stringify(leaking).includes('hunter2'))
  })

  it('quotes what systemd would read otherwise', () => {
    const unit = systemdUnit({
      name: 'default',
      command: ['/opt/my bun/bun'],
      args: ['--config', '/srv/50%/$x/"a"\\b.ts'],
      cwd: '/srv/50%',
      user: 'me',
      drainMs: 0,
    })
    assertStringIncludes(unit, 'ExecStart="/opt/my bun/bun" serve --config "/srv/50%%/$$x/\\"a\\"\\\\b.ts"\n')
    assertStringIncludes(unit, 'WorkingDirectory=/srv/50%%\n')
  })

  it('passes systemd-analyze', {
    ...SLOW,
    skip: findProgram('systemd-analyze') === undefined && 'not installed',
  }, async () => {
    const { answer } = await machine.json('daemon', 'unit', '--port', '0')
    const file = join(machine.home, 'prewarm.service')
    writeFileSync(file, answer.unit)
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' })
    assertEquals([status, (stdout + stderr).split('\n').filter((text) => text.includes('prewarm.service'))], [0, []])
  })
})
