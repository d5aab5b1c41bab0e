import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { assertEquals, assertStringIncludes, assertThrows } from '@std/assert'
import { checkLogFolder, daemonFiles } from '../../src/daemon/folder.ts'
import { PrewarmError } from '../../src/errors.ts'

describe("a daemon's folder", () => {
  let home: string
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'prewarm-test-folder-'))
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  const refused = (env: Record<string, string>, name: string, code: string, text: string) => {
    const error = assertThrows(() => daemonFiles(env, name), PrewarmError)
    assertEquals(error.code, code)
    assertStringIncludes(error.message, text)
  }
  const modeOf = (path: string) => statSync(path).mode & 0o777

  it("is its user's alone, whatever the umask", () => {
    const umask = process.umask(0)
    try {
      const files = daemonFiles({ XDG_RUNTIME_DIR: home }, 'a')
      assertEquals(files.folder, join(home, 'prewarm', 'a'))
      assertEquals([modeOf(join(home, 'prewarm')), modeOf(files.folder)], [0o700, 0o700])
      assertEquals(daemonFiles({ XDG_RUNTIME_DIR: home }, 'a'), files)
    } finally {
      process.umask(umask)
    }
  })

  it('is not taken where others could change it', () => {
    mkdirSync(join(home, 'prewarm'), { mode: 0o700 })
    mkdirSync(join(home, 'prewarm', 'a'))
    chmodSync(join(home, 'prewarm', 'a'), 0o750)
    refused({ XDG_RUNTIME_DIR: home }, 'a', 'DAEMON_FAILED', 'mode 0750')
    chmodSync(join(home, 'prewarm'), 0o777)
    refused({ XDG_RUNTIME_DIR: home }, 'b', 'DAEMON_FAILED', 'mode 0777')
  })

  it('is not a link, nor a file', () => {
    mkdirSync(join(home, 'elsewhere'), { mode: 0o700 })
    symlinkSync(join(home, 'elsewhere'), join(home, 'prewarm'))
    refused({ XDG_RUNTIME_DIR: home }, 'a', 'DAEMON_FAILED', 'is no folder')
    rmSync(join(home, 'prewarm'))
    writeFileSync(join(home, 'prewarm'), '')
    refused({ XDG_RUNTIME_DIR: home }, 'a', 'DAEMON_FAILED', 'is no folder')
  })

  it('is not below a folder of somebody else', () => {
    const uid = process.getuid?.() ?? 0
    if (uid === 0) chownSync(home, 65_534, 65_534)
    const other = uid === 0 ? home : '/'
    refused({ XDG_RUNTIME_DIR: other }, 'a', 'DAEMON_FAILED', `belongs to user ${uid === 0 ? 65_534 : 0}`)
  })

  it('is not one that somebody else has made', { skip: process.getuid?.() !== 0 }, () => {
    mkdirSync(join(home, 'prewarm'), { mode: 0o700 })
    chownSync(join(home, 'prewarm'), 65_534, 65_534)
    refused({ XDG_RUNTIME_DIR: home }, 'a', 'DAEMON_FAILED', 'belongs to user 65534')
  })

  it('names what is wrong with XDG_RUNTIME_DIR and with a name', () => {
    refused({ XDG_RUNTIME_DIR: join(home, 'none') }, 'a', 'DAEMON_FAILED', 'XDG_RUNTIME_DIR')
    const deep = join(home, 'x'.repeat(90))
    mkdirSync(deep, { mode: 0o700 })
    refused({ XDG_RUNTIME_DIR: deep }, 'a', 'DAEMON_FAILED', 'too long for a socket')
    for (const name of ['', '..', '../a', 'a/b', '-a', 'x'.repeat(33), 'a\n']) {
      refused({ XDG_RUNTIME_DIR: home }, name, 'USAGE', '--name')
    }
  })
})

describe("a daemon's log", () => {
  let home: string
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'prewarm-test-folder-'))
  })
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  const refused = (path: string, text: string) => {
    const error = assertThrows(() => checkLogFolder(path), PrewarmError)
    assertEquals(error.code, 'DAEMON_FAILED')
    assertStringIncludes(error.message, text)
  }

  it('lies where nobody else can put a link in its place', () => {
    for (const mode of [0o700, 0o755]) {
      chmodSync(home, mode)
      checkLogFolder(home)
    }
    for (const [mode, shown] of [
      [0o770, '0770'],
      [0o1777, '1777'],
      [0o702, '0702'],
    ] as const) {
      chmodSync(home, mode)
      refused(home, `${home} has mode ${shown}`)
    }
  })

  it('lies in a folder of its own user', () => {
    refused(join(home, 'none'), 'is no folder')
    const uid = process.getuid?.() ?? 0
    if (uid === 0) chownSync(home, 65_534, 65_534)
    refused(uid === 0 ? home : '/', `belongs to user ${uid === 0 ? 65_534 : 0}`)
  })
})
