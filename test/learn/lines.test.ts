import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import { shownLine } from '../../src/learn/bad-lines.ts'
import { linesOf, OwnTexts } from '../../src/learn/lines.ts'
import { checkAsync } from '../support/property.ts'

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0
  for (let n = 0; from < bytes.length; n++) {
    const size = sizes[n % sizes.length] as number
    yield bytes.subarray(from, from + size)
    from += size
  }
}

async function all(text: string, sizes: readonly number[]): Promise<string[]> {
  const lines: string[] = []
  for await (const some of linesOf(cut(new TextEncoder().encode(text), sizes))) lines.push(...some)
  return lines
}

describe('linesOf', () => {
  it('gives every line, wherever the file was cut', async () => {
    const line = fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed() && !/[\r\n\ufeff]/.test(text))
    const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 })
    await checkAsync(
      fc.asyncProperty(fc.array(line), sizes, fc.constantFrom('\n', '\r\n'), async (lines, some, end) => {
        assertEquals(await all(lines.map((one) => one + end).join(''), some), lines)
      }),
    )
  })

  it('gives a last line without an end, and takes a byte order mark away', async () => {
    assertEquals(await all('\ufeffa\nb', [2]), ['a', 'b'])
    assertEquals(await all('', [1]), [])
  })

  it('cuts a line that is no line of a log', async () => {
    const [first, second] = await all(`${'x'.repeat(200_000)}\nb\n`, [1000])
    assertEquals([(first as string).length, second], [65_536, 'b'])
  })
})

describe('OwnTexts', () => {
  it('gives the same text, also once it has begun anew', () => {
    const texts = new OwnTexts(2)
    for (const text of ['a', 'b', 'é😀', 'a', '\ufeffb', 'c', 'a']) assertEquals(texts.of(text), text)
  })
})

describe('a line that is shown', () => {
  it('tells no secret, no query and no control character, and not too much', () => {
    for (const [line, shown] of [
      ['GET /a?token=abc HTTP/1.1', 'GET /a?… HTTP/1.1'],
      ['{"password":"abc","key":1', '{"password":***,"key":1'],
      ['redis://user:abc@host/', 'redis://***@host/'],
      ['Authorization: abc', 'Authorization: ***'],
      ['api_key=abc\u001b[31m', 'api_key=***'],
      ['a\u0007b', 'a b'],
    ] as const)
      assertEquals(shownLine(line), shown)
    assertEquals(shownLine('x'.repeat(500)), `${'x'.repeat(80)}…`)
  })
})
