import type { RawKey } from './types.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** A key as text, as Redis has it. */
export function rawOf(key: string): RawKey {
  if (!/[^\u0000-\u007f]/.test(key)) return key
  let raw = ''
  for (const byte of encoder.encode(key)) raw += String.fromCharCode(byte)
  return raw
}

/** For people: what is no text comes out as `�`. */
export function textOf(raw: RawKey): string {
  return decoder.decode(Uint8Array.from(raw, (char) => char.charCodeAt(0)))
}
