import { BlockList, isIP, isIPv4 } from 'node:net'
import { PrewarmError } from '../../errors.ts'

/** What calls a proxy forwarded; of more, only the last are looked at. */
const MAX_FORWARDED = 50

/** An address in its one form: IPv4, also of one that is mapped into IPv6, else IPv6 with eight groups. Null: none. */
export function addressOf(text: string): string | null {
  const bare = text
    .trim()
    .replace(/^\[(.*)\](:\d+)?$/, '$1')
    .replace(/%.*$/, '')
  const plain = isIP(bare) === 0 ? bare.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1') : bare
  if (isIPv4(plain)) return plain
  if (isIP(plain) === 0) return null
  const groups = groupsOf(plain)
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (!isMapped) return groups.map((group) => group.toString(16)).join(':')
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 255])
    .join('.')
}

export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '0:0:0:0:0:0:0:1'
}

/** What is counted as one client: an IPv4 address, or the /64 that one IPv6 customer has at least. */
export function clientOf(address: string): string {
  return address.includes(':') ? `${address.split(':').slice(0, 4).join(':')}::/64` : address
}

/** Whether an address is one of `ranges`. @throws {PrewarmError} `CONFIG_INVALID` naming the range that is none */
export function addressMatcher(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const [index, range] of ranges.entries()) {
    const [text = '', bits, ...rest] = range.split('/')
    const address = addressOf(text)
    const max = address !== null && isIPv4(address) ? 32 : 128
    const prefix = bits === undefined ? max : /^\d{1,3}$/.test(bits) ? Number(bits) : -1
    if (address === null || rest.length > 0 || prefix < 0 || prefix > max) {
      throw new PrewarmError(
        'CONFIG_INVALID',
        `control.trustedProxies.${index} is '${range}', expected an address or a range such as '10.0.0.0/8'`,
      )
    }
    list.addSubnet(address, prefix, max === 32 ? 'ipv4' : 'ipv6')
  }
  return (address) => list.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
}

/**
 * Whose request it is: the peer, or, if that is a trusted proxy, the rightmost address in `X-Forwarded-For` that is
 * none. What stands left of that anybody may have written.
 */
export function clientAddress(
  peer: string,
  forwarded: string | undefined,
  isTrusted: (address: string) => boolean,
): string {
  let client = peer
  for (const text of (forwarded ?? '').split(',').slice(-MAX_FORWARDED).reverse()) {
    if (!isTrusted(client)) return client
    const next = addressOf(text)
    if (next === null) return client
    client = next
  }
  return client
}

/** The eight groups of a valid IPv6 address; its end may be written as IPv4. */
function groupsOf(address: string): number[] {
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number)
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
  const [head = '', tail] = hex.split('::')
  const numbers = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)))
  const [left, right] = [numbers(head), numbers(tail ?? '')]
  return [...left, ...new Array<number>(tail === undefined ? 0 : 8 - left.length - right.length).fill(0), ...right]
}

interface Connection {
  requestIP?: (request: Request) => { address: string } | null
  server?: Connection
  remoteAddr?: { hostname?: string }
}

/** The address of the socket, as Bun's and Deno's servers tell it; null: nobody told. */
export function socketAddress(env: unknown, request: Request): string | null {
  const { requestIP, server, remoteAddr } = (env ?? {}) as Connection
  if (typeof requestIP === 'function') return requestIP.call(env, request)?.address ?? null
  if (server !== undefined) return socketAddress(server, request)
  return remoteAddr?.hostname ?? null
}
