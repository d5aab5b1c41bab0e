/**
 * 32-bit FNV-1a of the UTF-16 code units of `text`: spread for jitter and sampling, not for security.
 * http://www.isthe.com/chongo/tech/comp/fnv/
 */
export function hash32(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  // A final avalanche (murmur3's): FNV alone leaves neighbours such as `user:1`, `user:2` close together.
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/**
 * The TTL of one key: up to `jitter` (0 to 1) of `ttlMs` earlier, never later, and always the same for the same key,
 * so that keys written together do not expire together. At least 1 ms.
 */
export function jitteredTtlMs(key: string, ttlMs: number, jitter: number): number {
  const early = ttlMs * jitter * (hash32(key) / 0x1_0000_0000)
  return Math.max(1, Math.round(ttlMs - early))
}
