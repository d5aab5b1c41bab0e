import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { peek } from '../../src/cache/peek.ts'
import type { Ask } from '../../src/cache/tier.ts'
import { STAMPS } from '../../src/store/changes.ts'

const NOW_MS = 1_700_000_000_000
const LATER_MS = NOW_MS + 60_000 + STAMPS.warm

/** A server that holds these, as replies; everything expires a minute later, what is `gone` in between. */
function server(held: Record<string, unknown>, { knowsExpiry = true, gone = '' } = {}) {
  const sent: (readonly (string | number)[])[] = []
  const expiryOf = (key: unknown): number =>
    key === gone ? -2 : key === 'stays' ? -1 : String(key) in held ? LATER_MS : -2
  const run = async (commands: readonly (readonly (string | number)[])[]) => {
    sent.push(...commands)
    return commands.map(([name, ...args]) => {
      const [key = ''] = args
      if (name === 'TIME') return [String(NOW_MS / 1000), '500']
      if (name === 'GET' || name === 'HGETALL') return held[key] ?? (name === 'GET' ? null : [])
      if (name === 'MGET') return args.map((one) => (typeof held[one] === 'string' ? held[one] : null))
      if (!knowsExpiry) return new Error("ERR unknown command 'PEXPIRETIME'")
      return name === 'EVAL' ? [...args.slice(2).map(expiryOf), NOW_MS] : expiryOf(key)
    })
  }
  return { run, sent }
}

const ask = (key: string, form: Ask['form'] = 'string'): Ask => ({ key, form, wantsLease: true })
const held = (value: unknown) => ({ state: 'held', value, leftMs: 60_037, expiresAtMs: LATER_MS, filledBy: 'warm' })
const text = (value: string) => held({ type: 'string', value })

describe('peek', () => {
  it('finds what is simply there, one or many, and leaves the rest to be looked at', async () => {
    for (const fillers of [0, 5]) {
      const keys = ['a', 'none', ...Array.from({ length: fillers }, (_, at) => `f${at}`)]
      const { run, sent } = server({ a: 'text', ...Object.fromEntries(keys.slice(2).map((key) => [key, key])) })
      const found = await peek(
        run,
        keys.map((key) => ask(key)),
      )
      assertEquals(found as unknown, [text('text'), undefined, ...keys.slice(2).map(text)])
      assertEquals(sent.length, fillers === 0 ? 5 : 2)
    }
  })

  it('finds hashes, as a list or as an object, and what never expires', async () => {
    const { run } = server({ l: ['__proto__', '1', 'b', '2'], o: { b: '2' }, stays: 'x' })
    const found = (await peek(run, [ask('l', 'hash'), ask('o', 'hash'), ask('stays')])) as never[]
    const fields = Object.fromEntries([
      ['__proto__', '1'],
      ['b', '2'],
    ])
    assertEquals(found[0], held({ type: 'hash', fields }))
    assertEquals(found[1], held({ type: 'hash', fields: { b: '2' } }))
    const forever = { leftMs: Number.POSITIVE_INFINITY, expiresAtMs: 0, filledBy: 'unknown' }
    assertEquals(found[2], { state: 'held', value: { type: 'string', value: 'x' }, ...forever })
  })

  it('leaves what bears tags, is of another type, or went in between', async () => {
    const { run } = server({ tagged: '\u0001{"t":"1"}\nx', list: new Error('WRONGTYPE'), g: 'x' }, { gone: 'g' })
    for (const keys of [
      ['tagged', 'list', 'g'],
      ['tagged', 'list', 'g', 'h', 'i'],
    ])
      assertEquals(
        await peek(
          run,
          keys.map((key) => ask(key)),
        ),
        keys.map(() => undefined),
      )
  })

  it('leaves many hashes to the script, without a question', async () => {
    const { run, sent } = server({})
    assertEquals(
      await peek(
        run,
        Array.from({ length: 5 }, (_, at) => ask(`${at}`, 'hash')),
      ),
      Array(5).fill(undefined),
    )
    assertEquals(sent, [])
  })

  it('says so where the server does not know when keys expire', async () => {
    const { run } = server({ a: 'x', b: 'x', c: 'x', d: 'x' }, { knowsExpiry: false })
    assertEquals(await peek(run, [ask('a')]), null)
    assertEquals(
      await peek(
        run,
        ['a', 'b', 'c', 'd'].map((key) => ask(key)),
      ),
      null,
    )
  })
})
