import { breadth } from './breadth.ts'
import { priority } from './priority.ts'
import { selective } from './selective.ts'
import type { Strategy } from './types.ts'

/** The strategies that need no configuration, by name. */
export const BUILT_IN: Readonly<Record<'selective' | 'breadth' | 'priority', Strategy>> = {
  selective,
  breadth,
  priority,
}

/** A strategy's name: letters, digits, `-` and `_`. */
export const STRATEGY_NAME = /^[\w-]{1,64}$/

/** Names of all strategies that a configuration has, the built-in ones first. */
export function strategyNames(own: Readonly<Record<string, Strategy>> | undefined): string[] {
  return [...Object.keys(BUILT_IN), ...Object.keys(own ?? {})]
}

/** The strategy of this name; undefined: there is none. */
export function strategyOf(name: string, own: Readonly<Record<string, Strategy>> | undefined): Strategy | undefined {
  if (Object.hasOwn(BUILT_IN, name)) return BUILT_IN[name as keyof typeof BUILT_IN]
  return own !== undefined && Object.hasOwn(own, name) ? own[name] : undefined
}
