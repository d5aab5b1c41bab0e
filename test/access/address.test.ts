import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import {
  addressMatcher,
  addressOf,
  clientAddress,
  clientOf,
  isLoopback,
  socketAddress,
} from '../../src/server/access/address.ts'
import { check } from '../support/property.ts'

describe('addressOf', () => {
  it('gives one form to each address', () => {
    const cases: [string, string | null][] = [
      ['127.0.0.1', '127.0.0.1'],
      [' 10.0.0.1 ', '10.0.0.1'],
      ['10.0.0.1:1234', '10.0.0.1'],
      ['::ffff:10.0.0.1', '10.0.0.1'],
      ['::FFFF:0a00:0001', '10.0.0.1'],
      ['[::ffff:10.0.0.1]:80', '10.0.0.1'],
      ['::1', '0:0:0:0:0:0:0:1'],
      ['[::1]:4000', '0:0:0:0:0:0:0:1'],
      ['2001:DB8::1', '2001:db8:0:0:0:0:0:1'],
      ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6'],
      ['fe80::1%eth0', 'fe80:0:0:0:0:0:0:1'],
      ['::', '0:0:0:0:0:0:0:0'],
      ['1::', '1:0:0:0:0:0:0:0'],
    ]
    for (const [text, expected] of cases) assertEquals(addressOf(text), expected, text)
    for (const bad of [
      '',
      'x',
      'localhost',
      '1.2.3',
      '1.2.3.4.5',
      '256.1.1.1',
      '01.2.3.4',
      ':::',
      '1::2::3',
      '[',
      '[]',
      'unknown',
    ])
      assertEquals(addressOf(bad), null, bad)
  })

  it('never throws, and its answer is its own', () => {
    check(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), (text) => {
        const address = addressOf(text)
        if (address !== null) assertEquals(addressOf(address), address)
      }),
      1000,
    )
  })
})

describe('clientOf', () => {
  it('counts an IPv6 network of 64 bits as one', () => {
    assertEquals(clientOf('10.0.0.1'), '10.0.0.1')
    const [one, two, other] = ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:3::1'].map((text) =>
      clientOf(addressOf(text) as string),
    )
    assertEquals(one, two)
    assertEquals([one === other, one], [false, '2001:db8:1:2::/64'])
  })
})

describe('clientAddress', () => {
  const isTrusted = addressMatcher(['10.0.0.0/8', '2001:db8::/32', '192.0.2.7'])
  const of = (peer: string, forwarded?: string) => clientAddress(addressOf(peer) as string, forwarded, isTrusted)

  it('is the peer, whatever it says, unless that is a trusted proxy', () => {
    assertEquals(of('203.0.113.1', '1.2.3.4'), '203.0.113.1')
    assertEquals(of('203.0.113.1'), '203.0.113.1')
    assertEquals(of('11.0.0.1', '1.2.3.4'), '11.0.0.1')
  })

  it('is the rightmost address that is no trusted proxy', () => {
    assertEquals(of('10.1.2.3', '1.2.3.4'), '1.2.3.4')
    assertEquals(of('::ffff:10.1.2.3', '1.2.3.4'), '1.2.3.4')
    assertEquals(of('192.0.2.7', '6.6.6.6, 1.2.3.4,10.0.0.2'), '1.2.3.4')
    assertEquals(of('2001:db8::9', '6.6.6.6, 1.2.3.4:99'), '1.2.3.4')
    assertEquals(of('10.1.2.3', '10.0.0.1, 10.0.0.2'), '10.0.0.1')
    assertEquals(of('10.1.2.3', '[2001:db9::1]:80'), '2001:db9:0:0:0:0:0:1')
  })

  it('goes no further than what can be read', () => {
    for (const forwarded of [undefined, '', 'unknown', '1.2.3.4, x', '1.2.3.4,', '1.2.3.4, _hidden'])
      assertEquals(of('10.1.2.3', forwarded), '10.1.2.3', forwarded)
    assertEquals(of('10.1.2.3', '1.2.3.4, x, 10.0.0.2'), '10.0.0.2')
  })

  it('can’t be chosen by a client behind a trusted proxy', () => {
    const list = fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), { maxLength: 60 })
    check(
      fc.property(list, (given) => assertEquals(of('10.1.2.3', [...given, '203.0.113.9'].join(',')), '203.0.113.9')),
    )
  })
})

describe('isLoopback', () => {
  it('is 127.0.0.0/8 and ::1', () => {
    assertEquals(['127.0.0.1', '127.255.0.1', '0:0:0:0:0:0:0:1'].map(isLoopback), [true, true, true])
    assertEquals(['128.0.0.1', '1.127.0.0', '0:0:0:0:0:0:0:2', '10.0.0.1'].map(isLoopback), [
      false,
      false,
      false,
      false,
    ])
  })
})

describe('socketAddress', () => {
  it('is what the runtime’s server tells', () => {
    const request = new Request('http://localhost/')
    const bun = {
      address: '10.0.0.1',
      requestIP(given: Request) {
        return given === request ? { address: this.address } : null
      },
    }
    assertEquals(socketAddress(bun, request), '10.0.0.1')
    assertEquals(socketAddress({ server: bun }, request), '10.0.0.1')
    assertEquals(socketAddress(bun, new Request('http://localhost/')), null)
    assertEquals(socketAddress({ remoteAddr: { transport: 'tcp', hostname: '10.0.0.2' } }, request), '10.0.0.2')
    for (const env of [undefined, null, {}, { remoteAddr: { transport: 'unix' } }])
      assertEquals(socketAddress(env, request), null)
  })
})
