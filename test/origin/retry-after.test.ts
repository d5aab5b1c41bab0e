import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { retryAfterMs } from '../../src/origin/retry-after.ts'

/** Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110. */
const NOW = 784_111_777_000

/** A header, and the wait that it asks for; undefined: none. */
const HEADERS: [string | null, number | undefined][] = [
  ['1', 1000],
  ['120', 120_000],
  [' 7 ', 7000],
  ['300', 300_000],
  ['301', 300_000],
  ['99999999999999999999999', 300_000],
  ['Sun, 06 Nov 1994 08:49:39 GMT', 2000],
  ['Sunday, 06-Nov-94 08:49:39 GMT', 2000],
  ['Sun Nov  6 08:49:39 1994', 2000],
  ['Mon, 07 Nov 1994 08:49:37 GMT', 300_000],
  ['Wednesday, 06-Nov-30 08:49:37 GMT', 300_000],
  // More than 50 years ahead: the century before.
  ['Saturday, 06-Nov-76 08:49:37 GMT', undefined],
  ['Sun, 06 Nov 1994 08:49:37 GMT', undefined],
  ['Sun, 06 Nov 1994 08:49:36 GMT', undefined],
  ['Sun, 06 Nox 1994 08:50:37 GMT', undefined],
  ['Sun, 06 Nov 1994 08:50:37 +0200', undefined],
  [null, undefined],
  ['', undefined],
  ['0', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  ['1e3', undefined],
  ['soon', undefined],
]

describe('retryAfterMs', () => {
  for (const [header, expected] of HEADERS)
    it(`retryAfterMs of '${header}' is ${expected}`, () => assertEquals(retryAfterMs(header, NOW), expected))

  it('retryAfterMs reads two digits of a year across the turn of a century', () => {
    assertEquals(retryAfterMs('Friday, 01-Jan-00 00:00:01 GMT', Date.UTC(2099, 11, 31, 23, 59, 59)), 2000)
    assertEquals(retryAfterMs('Friday, 31-Dec-99 23:59:59 GMT', Date.UTC(2100, 0, 1)), undefined)
  })
})
