import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import { checkTags, splitTags, withTags } from '../../src/cache/tags.ts'

describe('tags', () => {
  it('withTags and splitTags are each other’s inverse, for any text', () => {
    const tag = fc.string({ minLength: 1, maxLength: 20 }).filter((one) => one !== '__proto__')
    fc.assert(
      fc.property(fc.string(), fc.uniqueArray(tag, { maxLength: 4 }), (text, tags) => {
        const versions = tags.map((_, index) => String(index))
        const split = splitTags(withTags(text, tags, versions))
        assertEquals(split.text, text)
        assertEquals([...split.tags].sort(), [...tags].sort())
      }),
    )
  })

  it('a text of ours that looks like a header is given one', () => {
    const text = '\u0001{"a":"1"}\nx'
    assertEquals(splitTags(withTags(text, [], [])), { text, tags: [] })
  })

  it('what only begins like a header is another program’s text', () => {
    for (const text of ['\u0001', '\u0001{', '\u0001{x}\ny', '\u0001[1]\ny', 'plain', ''])
      assertEquals(splitTags(text), { text, tags: [] })
  })

  it('checkTags names the tag that is wrong', () => {
    assertThrows(() => checkTags('abc' as never), Error, "tags is 'abc', expected a list")
    assertThrows(() => checkTags(['a', '']), Error, "tags holds ''")
    assertThrows(() => checkTags([7 as never]), Error, 'tags holds 7')
    assertThrows(() => checkTags(['x'.repeat(257)]), Error, '1 to 256')
    assertThrows(() => checkTags(Array.from({ length: 33 }, (_, at) => `${at}`)), Error, '33 elements')
    assertEquals(checkTags(['a', 'a', 'b']), ['a', 'b'])
  })
})
