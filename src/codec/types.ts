/** A value ready for the store. */
export type Encoded =
  | { type: 'string'; value: string }
  /** Fields and values in turn: `[field, value, field, value, …]`. */
  | { type: 'hash'; fields: readonly string[] }

/** Turns one value into what Redis stores. Pure; the same value always gives the same result. */
export interface Codec {
  readonly name: 'string' | 'json' | 'hash'
  /** @throws {PrewarmError} `VALUE_INVALID` if the value can't be stored in this form */
  encode(value: unknown): Encoded
}
