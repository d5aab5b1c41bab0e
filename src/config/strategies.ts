import { z } from 'zod'
import { BUILT_IN, STRATEGY_NAME, strategyNames } from '../job/strategy/register.ts'
import type { Strategy } from '../job/strategy/types.ts'
import { fn } from './fields.ts'

/** A strategy of the user's. */
export const strategy = z.strictObject(
  { rank: fn, rankQuery: fn.optional(), explain: fn.optional(), level: fn.optional() },
  'expected { rank }',
)

/** Strategies of the user's, by name. */
export const strategies = z.record(
  z
    .string()
    .regex(STRATEGY_NAME, "expected a strategy name of 1 to 64 letters, digits, '-' and '_'")
    .refine((name) => !Object.hasOwn(BUILT_IN, name), 'expected another name: a built-in strategy has that'),
  strategy,
  'expected strategies by name',
)

type Refinement = Pick<z.core.$RefinementCtx, 'addIssue'>

/** `defaultStrategy` must be a strategy that there is. */
export function checkStrategy(
  { defaultStrategy, strategies: own }: { defaultStrategy?: string | undefined; strategies?: unknown },
  context: Refinement,
): void {
  if (defaultStrategy === undefined) return
  const names = strategyNames(own as Record<string, Strategy> | undefined)
  if (names.includes(defaultStrategy)) return
  const message = `expected one of ${names.map((name) => `'${name}'`).join(', ')}`
  context.addIssue({ code: 'custom', path: ['defaultStrategy'], message, input: defaultStrategy })
}

/** A task's `parent` must be another task, and lead back to none. */
export function checkParents(
  tasks: Readonly<Record<string, { parent?: string | undefined }>>,
  context: Refinement,
): void {
  for (const [name, { parent }] of Object.entries(tasks)) {
    if (parent === undefined) continue
    const path = ['tasks', name, 'parent']
    const others = Object.keys(tasks).filter((one) => one !== name)
    if (!others.includes(parent)) {
      const message =
        others.length === 0 ? 'expected none: there is no other task' : `expected one of ${others.join(', ')}`
      context.addIssue({ code: 'custom', path, message, input: parent })
    } else if (leadsBack(name, tasks)) {
      const message = 'expected a task whose parents do not lead back to this one'
      context.addIssue({ code: 'custom', path, message, input: parent })
    }
  }
}

function leadsBack(name: string, tasks: Readonly<Record<string, { parent?: string | undefined }>>): boolean {
  const seen = new Set<string>()
  for (let at: string | undefined = name; at !== undefined && !seen.has(at); ) {
    seen.add(at)
    at = Object.hasOwn(tasks, at) ? tasks[at]?.parent : undefined
    if (at === name) return true
  }
  return false
}
