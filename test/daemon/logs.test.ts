import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { follow, lastLines, linesSince, sizeOf } from '../../src/daemon/logs.ts'
import { LogRotation } from '../../src/daemon/rotate.ts'

describe("a daemon's log", () => {
  let home: string
  let file: string
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'prewarm-test-log-'))
    file = join(home, 'daemon.log')
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  const write = (rotation: LogRotation, from: number, to: number) => {
    for (let n = from; n < to; n++) {
      appendFileSync(file, `line ${n}\n`)
      rotation.check()
    }
  }

  it('is put aside when it is too large; so many files are kept, and no line is lost among them', () => {
    const rotation = new LogRotation(file, { maxBytes: 100, files: 3 })
    write(rotation, 0, 1000)
    rotation.stop()
    assert(!existsSync(`${file}.4`))
    for (const path of [file, `${file}.1`, `${file}.2`, `${file}.3`]) assert(statSync(path).size <= 110, path)
    const kept = [3, 2, 1].flatMap((n) => readFileSync(`${file}.${n}`, 'utf8').trim().split('\n'))
    const all = [...kept, ...readFileSync(file, 'utf8').split('\n').filter(Boolean)]
    assertEquals(
      all,
      Array.from({ length: all.length }, (_, n) => `line ${1000 - all.length + n}`),
    )
    assertEquals(lastLines(file, 20), all.slice(-20))
    assertEquals(lastLines(file, 10_000), all)
    assertEquals(lastLines(join(home, 'none'), 5), [])
  })

  it('is emptied, not renamed, so that an open descriptor goes on writing into it', () => {
    const rotation = new LogRotation(file, { maxBytes: 10, files: 1 })
    const before = statSync(file).ino
    write(rotation, 0, 5)
    rotation.stop()
    assertEquals(statSync(file).ino, before)
    assertEquals(statSync(`${file}.1`).mode & 0o777, 0o600)
  })

  it('shows what came since a place in it', () => {
    appendFileSync(file, 'old\n')
    const from = sizeOf(file)
    appendFileSync(file, 'new\nnewer\n')
    assertEquals(linesSince(file, from), ['new', 'newer'])
    assertEquals(linesSince(file, 1000), ['old', 'new', 'newer'])
    assertEquals(linesSince(join(home, 'none'), 0), [])
  })

  it('is followed across its being put aside', async () => {
    const rotation = new LogRotation(file, { maxBytes: 1000, files: 2 })
    appendFileSync(file, 'before\n')
    const stop = new AbortController()
    let text = ''
    const seen = (wanted: string) =>
      new Promise<void>((resolve) => {
        const look = () => (text.includes(wanted) ? resolve() : void setTimeout(look, 5))
        look()
      })
    const following = follow(
      file,
      sizeOf(file),
      (bytes) => {
        text += Buffer.from(bytes).toString()
      },
      stop.signal,
    )
    appendFileSync(file, 'first\n')
    await seen('first\n')
    appendFileSync(file, `${'x'.repeat(2000)}last of the old\n`)
    rotation.check()
    appendFileSync(file, 'first of the new\n')
    await seen('first of the new\n')
    stop.abort()
    await following
    rotation.stop()
    assertEquals(text, `first\n${'x'.repeat(2000)}last of the old\nfirst of the new\n`)
  })
})
