import { PrewarmError } from '../errors.ts'

/** The key of a call by the function's name and its arguments. @throws {PrewarmError} `USAGE` for a function without a name */
export function callKey<A extends readonly unknown[]>({ name }: { name: string }): (...args: A) => string {
  if (name === '')
    throw new PrewarmError('USAGE', 'The function has no name to make keys of: give { key: (...args) => … }')
  return (...args) => `${name}:${JSON.stringify(args)}`
}

/** @throws {PrewarmError} `USAGE` for a function in the place of options, which would never be called */
export function checkOptions(options: unknown): void {
  if (typeof options !== 'function') return
  throw new PrewarmError('USAGE', 'options is a function, expected an object: give { load: … }')
}
