import type { HeldValue } from '../cache/tier.ts'

/** A value ready for the store. */
export type Encoded =
  | { type: 'string'; value: string }
  /** Fields and values in turn: `[field, value, field, value, …]`. */
  | { type: 'hash'; fields: readonly string[] }

/** What some forms store beside the value. */
export interface EncodeContext {
  key: string
  /** How long the value is fresh. */
  ttlMs: number
  /** Wall clock, ms since 1970. */
  nowMs: number
}

/** Turns one value into what Redis stores, and back. Pure; the same value and context always give the same result. */
export interface Codec {
  readonly name: 'string' | 'json' | 'hash' | 'keyv' | 'bentocache' | 'unstorage' | 'nitro' | 'cachified'
  /**
   * @throws {PrewarmError} `VALUE_INVALID` if the value can't be stored in this form, `KEY_INVALID` if its reader could not ask
   * for such a key
   */
  encode(value: unknown, context: EncodeContext): Encoded
  /**
   * The value that is held, as a reader of this form gets it. When it expires is Redis' affair: times in it are not looked at.
   *
   * @throws {PrewarmError} `VALUE_INVALID` if it is not of this form
   */
  decode(held: HeldValue): unknown
}
