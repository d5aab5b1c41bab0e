import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { claim, livingOwner, readOwner } from '../../src/daemon/claim.ts'
import { isRunning, signal, stampOf } from '../../src/daemon/process.ts'

const CLAIMER = join(import.meta.dirname, 'fixtures', 'claimer.ts')

describe('claims of a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'prewarm-test-claim-'))
  const own = { pid: process.pid, stamp: stampOf(process.pid) as string }
  const dead = { pid: process.pid, stamp: 'another boot:1' }
  let foreign: ChildProcess
  let number = 0
  const newFile = () => join(folder, `file-${++number}`)

  before(() => {
    foreign = spawn('sleep', ['60'], { stdio: 'ignore' })
  })
  after(() => {
    foreign.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  it('are had by one process at a time, and given back', () => {
    const file = newFile()
    const first = claim(file, own)
    assert(first.mine)
    assertEquals(claim(file, own), { mine: false, holder: own })
    assertEquals(statSync(file).mode & 0o777, 0o600)
    first.release()
    first.release()
    assert(!existsSync(file))
    assert(claim(file, own).mine)
  })

  it('of a dead process are taken over, also when its pid lives again', () => {
    const recycled = { pid: foreign.pid as number, stamp: 'another boot:1' }
    for (const left of [JSON.stringify(dead), JSON.stringify(recycled), '', 'no JSON', '{"pid":"1"}', 'null']) {
      const file = newFile()
      writeFileSync(file, left)
      assertEquals(livingOwner(file), null)
      assert(claim(file, own).mine, left)
      assertEquals(readOwner(file), own)
    }
    assertEquals(foreign.exitCode, null)
  })

  it('are not given back by who has lost them', () => {
    const file = newFile()
    const first = claim(file, own)
    writeFileSync(file, JSON.stringify(dead))
    assert(first.mine)
    first.release()
    assertEquals(readOwner(file), dead)
  })

  it('wait for nobody who died while taking over', () => {
    const file = newFile()
    for (const name of [file, `${file}.break`]) writeFileSync(name, JSON.stringify(dead))
    assert(claim(file, own).mine)
    assert(!existsSync(`${file}.break`))
  })

  it('of many processes at once have one winner, over and over, and leave no other file', async () => {
    const children = Array.from({ length: 5 }, () =>
      spawn(process.execPath, [CLAIMER], { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    try {
      const answers = children.map((child) => createInterface({ input: child.stdout })[Symbol.asyncIterator]())
      const next = () => Promise.all(answers.map(async (lines) => (await lines.next()).value))
      assertEquals(
        await next(),
        children.map(() => 'here'),
      )
      for (let round = 0; round < 100; round++) {
        const file = newFile()
        writeFileSync(file, JSON.stringify(dead))
        for (const child of children) child.stdin.write(`${file}\n`)
        const said = await next()
        assertEquals(said.filter((word) => word === 'mine').length, 1, `round ${round}: ${said}`)
        assert(children.some(({ pid }) => pid === readOwner(file)?.pid))
      }
      assertEquals(
        readdirSync(folder).filter((name) => !/^file-\d+$/.test(name)),
        [],
      )
    } finally {
      for (const child of children) child.kill('SIGKILL')
    }
  })

  it('know processes by more than their pid', async () => {
    const pid = foreign.pid as number
    const owner = { pid, stamp: stampOf(pid) as string }
    assert(isRunning(owner))
    assert(!signal({ pid, stamp: `${owner.stamp}0` }, 'SIGKILL'))
    assert(isRunning(owner))
    assertEquals(stampOf(-1), null)
    assertEquals(stampOf(0), null)
    assertEquals(stampOf(Number.NaN), null)
    if (process.platform === 'linux') {
      const ticks = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[21]
      assertEquals(owner.stamp.split(':')[1], ticks)
    }
  })

  it('see a process that nobody reaps as ended', { skip: process.platform !== 'linux' }, async () => {
    // The shell's child ends while the shell, replaced by sleep, will never ask for its exit code.
    const parent = spawn('sh', ['-c', 'sh -c "echo \\$\\$" & exec sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const { value } = await createInterface({ input: parent.stdout })[Symbol.asyncIterator]().next()
      const pid = Number(value)
      const state = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2]
      while (state() !== 'Z') await new Promise((resolve) => setTimeout(resolve, 5))
      assertEquals(stampOf(pid), null)
    } finally {
      parent.kill('SIGKILL')
    }
  })
})
