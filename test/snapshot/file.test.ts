import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { assert, assertEquals, assertRejects, assertStringIncludes } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { fileTarget } from '../../src/snapshot/file.ts'

const NEVER = new AbortController().signal

describe('a snapshot in a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'prewarm-test-snapshot-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const at = (name: string) => fileTarget(name, join(folder, name))
  const invalid = async (work: Promise<unknown>) => {
    const error = await assertRejects(() => work, PrewarmError)
    assertEquals(error.code, 'SNAPSHOT_INVALID')
    return error.message
  }

  it('is written and read whole, packed where its name ends in .gz, and is its owner’s alone', async () => {
    assertEquals([await at('none').read(), await at('none').readHead()], [null, null])
    for (const name of ['plain', 'packed.gz', 'deep/er/one.gz']) {
      const target = at(name)
      await target.write('head\nünïcode\n', NEVER)
      assertEquals([await target.read(), await target.readHead()], ['head\nünïcode\n', 'head'])
      await target.write('other\n', NEVER)
      assertEquals(await target.read(), 'other\n')
      assertEquals(statSync(join(folder, name)).mode & 0o777, 0o600)
    }
    assertEquals(readFileSync(join(folder, 'plain'), 'utf8'), 'other\n')
    assertEquals(gunzipSync(readFileSync(join(folder, 'packed.gz'))).toString(), 'other\n')
  })

  it('is unpacked by what it holds, not by its name', async () => {
    writeFileSync(join(folder, 'renamed'), gzipSync('packed\n'))
    writeFileSync(join(folder, 'renamed.gz'), 'plain\n')
    assertEquals([await at('renamed').read(), await at('renamed.gz').read()], ['packed\n', 'plain\n'])
  })

  it('stays as it was where a new one is cut off, and leaves nothing beside it', async () => {
    await at('kept').write('old\n', NEVER)
    const error = await assertRejects(() => at('kept').write('new\n', AbortSignal.abort()), PrewarmError)
    assertEquals([error.code, await at('kept').read()], ['JOB_CANCELLED', 'old\n'])
    assertEquals(
      readdirSync(folder).filter((name) => name.endsWith('.draft')),
      [],
    )
  })

  it('removes what a program that was killed left behind, and nothing else', async () => {
    const drafts = [
      'swept.0123456789ab.draft',
      'swept.ba9876543210.draft',
      'swept.mine.draft',
      'other.0123456789ab.draft',
    ]
    for (const name of drafts) writeFileSync(join(folder, name), 'cut')
    for (const name of [drafts[0], drafts[2], drafts[3]]) utimesSync(join(folder, name as string), 1000, 1000)
    await at('swept').write('new\n', NEVER)
    const left = readdirSync(folder).filter((name) => name.endsWith('.draft'))
    assertEquals(left.sort(), drafts.slice(1).sort())
  })

  it('is not written where it would be too large to be read', async () => {
    await at('large').write('good\n', NEVER)
    const message = await invalid(at('large').write('x'.repeat(256 * 1024 * 1024 + 1), NEVER))
    assertStringIncludes(message, 'large would have 268435457 bytes, expected at most 268435456')
    assertEquals(await at('large').read(), 'good\n')
  })

  it('is refused where it is damaged, cut, no text, too large, or a folder', async () => {
    const packed = gzipSync('x\n'.repeat(10_000))
    writeFileSync(join(folder, 'cut.gz'), packed.subarray(0, packed.length - 9))
    assertStringIncludes(await invalid(at('cut.gz').read()), 'cut.gz is packed, and cut or damaged')
    writeFileSync(join(folder, 'flipped.gz'), packed.with(packed.length - 6, 1))
    assertStringIncludes(await invalid(at('flipped.gz').read()), 'cut or damaged')
    writeFileSync(join(folder, 'binary'), new Uint8Array([0xff, 0xfe, 0x41]))
    assertStringIncludes(await invalid(at('binary').read()), 'binary is no text')
    writeFileSync(join(folder, 'bomb.gz'), gzipSync(new Uint8Array(257 * 1024 * 1024), { level: 1 }))
    assertStringIncludes(await invalid(at('bomb.gz').read()), 'expected at most')
    assertStringIncludes(await invalid(fileTarget('.', folder).read()), '. can not be read')
    const under = fileTarget('under', join(folder, 'plain', 'under'))
    assert((await invalid(under.write('x', NEVER))).startsWith('under can not be written: '))
  })
})
