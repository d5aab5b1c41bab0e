import type { Encoded } from '../codec/types.ts'

/** Redis' defaults: a hash with more fields, or a longer one, is a table instead of one packed list. */
const LISTPACK_ENTRIES = 512
const LISTPACK_VALUE_BYTES = 64
/** An entry of Redis' dictionaries: key, value, next. What it takes is more than its size, which `MEMORY USAGE` counts. */
const DICT_ENTRY = 24
const DICT_ENTRY_ALLOCATED = 32
/** A key's places in a dictionary's buckets, which are 1 to 2 a key. */
const BUCKETS = 12
/** The head of a value: type, encoding, clock, count, pointer. */
const OBJECT = 16
/** A dictionary without its buckets, as of Redis 7. */
const DICT = 56

const encoder = new TextEncoder()

/**
 * Bytes that one key with a TTL takes in Redis 7 on jemalloc, as `MEMORY USAGE` counts them, plus what that leaves out:
 * the key's entry among the expiring keys and its places in both dictionaries' buckets.
 *
 * A key is an SDS string and a dictionary entry. A string is an integer in the object's head (8 bytes at most), packed with its
 * head (44 bytes at most), or an SDS of its own. A hash is one packed list, or a dictionary of SDS strings.
 */
export function redisBytes(key: string, encoded: Encoded): number {
  const inKeys = DICT_ENTRY_ALLOCATED - DICT_ENTRY + BUCKETS
  const inExpiring = DICT_ENTRY_ALLOCATED + BUCKETS
  return usageBytes(key, encoded) + inKeys + inExpiring
}

/** Only what `MEMORY USAGE` counts. */
export function usageBytes(key: string, encoded: Encoded): number {
  const value = encoded.type === 'string' ? stringBytes(encoded.value) : hashBytes(encoded.fields)
  return DICT_ENTRY + sds(byteLength(key)) + value
}

function stringBytes(text: string): number {
  if (isInteger(text)) return OBJECT
  const length = byteLength(text)
  return length <= 44 ? allocated(OBJECT + 3 + length + 1) : OBJECT + sds(Math.max(length, 32))
}

function hashBytes(fields: readonly string[]): number {
  const lengths = fields.map(byteLength)
  const isPacked = fields.length / 2 <= LISTPACK_ENTRIES && lengths.every((length) => length <= LISTPACK_VALUE_BYTES)
  if (isPacked) {
    let size = 7
    for (const [index, text] of fields.entries()) size += packedBytes(text, lengths[index] as number)
    return OBJECT + allocated(size)
  }
  const buckets = 8 * 2 ** Math.ceil(Math.log2(Math.max(4, fields.length / 2)))
  let size = OBJECT + DICT + buckets + (fields.length / 2) * DICT_ENTRY
  for (const length of lengths) size += sds(length)
  return size
}

/** One element of a packed list, with the back length behind it. */
function packedBytes(text: string, length: number): number {
  if (!isInteger(text)) return length + (length < 64 ? 2 : 3)
  const number = Math.abs(Number(text))
  return number < 128 ? 2 : number < 4096 ? 3 : number < 32_768 ? 4 : number < 8_388_608 ? 5 : number < 2 ** 31 ? 6 : 10
}

function sds(length: number): number {
  const head = length < 32 ? 1 : length < 256 ? 3 : length < 65_536 ? 5 : 9
  return allocated(head + length + 1)
}

/**
 * jemalloc's size classes: 8, steps of 16 up to 128, then four to a doubling. (The jemalloc inside Redis' own builds has
 * steps of 8 below 64; the coarser ones are Debian's, and err to the safe side.)
 */
function allocated(bytes: number): number {
  if (bytes <= 8) return 8
  if (bytes <= 128) return Math.ceil(bytes / 16) * 16
  const step = 2 ** (Math.ceil(Math.log2(bytes)) - 3)
  return Math.ceil(bytes / step) * step
}

function isInteger(text: string): boolean {
  return text.length <= 20 && /^(0|-?[1-9]\d*)$/.test(text) && Math.abs(Number(text)) < 2 ** 63
}

function byteLength(text: string): number {
  return encoder.encode(text).length
}
