import { describe, it } from 'node:test'
import { assertEquals, assertStringIncludes, assertThrows } from '@std/assert'
import fc from 'fast-check'
import { keyTemplate } from '../../src/keyspace/template.ts'
import { pathMap } from '../../src/learn/path-map.ts'
import { check } from '../support/property.ts'

const one = (path: string, key: string) => pathMap([{ path, key }])

describe('pathMap', () => {
  it('makes the key of every path that was made of a value', () => {
    const value = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((text) => text.isWellFormed() && encodeURIComponent(text).length < 900)
    const map = one('/users/{id}/films/{film}', 'user:{id}:film:{film}')
    const template = keyTemplate('user:{id}:film:{film}')
    check(
      fc.property(value, value, (id, film) => {
        const path = `/users/${encodeURIComponent(id)}/films/${encodeURIComponent(film)}`
        const key = map(`${path}?secret=1`)
        assertEquals(key, template.format({ id, film }))
        assertEquals(template.match(key as string), { id, film })
      }),
    )
  })

  it('takes the first mapping that fits, and none for the rest', () => {
    const map = pathMap([
      { path: '/films/top', key: 'films:top' },
      { path: '/films/{id}', key: 'film:{id}' },
    ])
    assertEquals(['/films/top', '/films/7', '/films/', '/films/7/x', '/'].map(map), [
      'films:top',
      'film:7',
      null,
      null,
      null,
    ])
  })

  it('takes of each placeholder as little as can be, as a regular expression would', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '-', '/'), maxLength: 12 })
    const between = text.filter((some) => some !== '')
    const key = 'k:{x}:{y}:{z}'
    check(
      fc.property(text, between, between, text, text, (first, second, third, last, rest) => {
        const map = one(`/${first}{x}${second}{y}${third}{z}${last}`, key)
        const pattern = new RegExp(`^/${first}([^/]+?)${second}([^/]+?)${third}([^/]+?)${last}$`)
        for (const path of [`/${rest}`, `/${first}${rest}${last}`, `/${first}a${second}-${third}${rest}${last}`]) {
          const [, x, y, z] = pattern.exec(path) ?? []
          assertEquals(map(path), x === undefined ? null : keyTemplate(key).format({ x, y, z }))
        }
      }),
      2000,
    )
  })

  it('is not held up by a path that was made for that', () => {
    const map = one('/x/{a}-{b}-{c}', 'x:{a}:{b}:{c}')
    for (let n = 0; n < 100; n++) assertEquals(map(`/x/${'-'.repeat(60_000)}/`), null)
  })

  it('takes text around a placeholder as it is, and decodes nothing broken', () => {
    const map = one('/a.b/{id}.html', 'page:{id}')
    assertEquals(['/a.b/x.html', '/aXb/x.html', '/a.b/%E0%A4%A.html'].map(map), ['page:x', null, null])
  })

  const bad: [path: string, key: string, why: string][] = [
    ['films/{id}', 'film:{id}', "the path must begin with '/'"],
    ['/films/{id}', 'film:{name}', '{name} is not in the path'],
    ['/films/{id}{x}', 'film:{id}', 'put text between two placeholders'],
    ['/films/{id}/{id}', 'film:{id}', 'each name may stand once'],
    ['/films/{1}', 'film:1', 'a placeholder is'],
    ['/films/{id}', 'film:*', 'none of *'],
  ]
  for (const [path, key, why] of bad)
    it(`refuses '${path}' to '${key}'`, () => {
      const { code, message } = assertThrows(() => one(path, key)) as Error & { code: string }
      assertEquals(code, 'USAGE')
      assertStringIncludes(message, `'${path}' to '${key}'`)
      assertStringIncludes(message, why)
    })
})
