import type { Config } from '../config/load.ts'
import type { ScheduleSpec } from '../coordination/types.ts'
import { isPrewarmError, PrewarmError, toFailure } from '../errors.ts'
import type { Schedules, ScheduleView } from '../facade.ts'
import { isOptimized, targetSpecs } from './specs.ts'
import type { Change, Touched } from './types.ts'

type Schedule = Pick<Schedules, 'list' | 'add' | 'remove' | 'pause' | 'resume'>

/** Things done one after the other, each with what takes it back. */
class Steps {
  readonly touched: Touched = { added: [], removed: [], paused: [], resumed: [] }
  readonly #undo: { what: string; run: () => Promise<unknown> }[] = []

  async do(
    kind: keyof Touched,
    name: string,
    run: () => Promise<unknown>,
    undo: () => Promise<unknown>,
  ): Promise<void> {
    try {
      // Before the answer: what was lost may have been done.
      this.#undo.push({ what: `${kind} ${name}`, run: undo })
      await run()
      this.touched[kind].push(name)
    } catch (error) {
      throw await this.#takenBack(error)
    }
  }

  async #takenBack(error: unknown): Promise<unknown> {
    const left: string[] = []
    for (const { what, run } of this.#undo.reverse()) {
      try {
        await run()
      } catch (failure) {
        // What was never done can't be undone.
        if (!isPrewarmError(failure) || !['NOT_FOUND', 'CONFLICT'].includes(failure.code)) left.push(what)
      }
    }
    if (left.length === 0) return error
    const { code, message } = toFailure(error)
    return new PrewarmError(
      code,
      `${message}; not taken back: ${left.join(', ')}. Look at the list of schedules, or run \`prewarm optimize --revert\``,
      { cause: error },
    )
  }
}

/**
 * Registers what is proposed: a schedule for each task that changes, instead of the one that warms it now, which is paused.
 * What that one warms besides goes on as `optimized--<its name>`. At no moment is a task without a schedule; if a step fails,
 * those before it are taken back.
 *
 * @throws {PrewarmError} `CONFLICT` if a schedule of the user's has one of the names; `REQUEST_INVALID`; `STORE_*`
 */
export async function applyChanges(
  changes: readonly Change[],
  schedules: Schedule,
  tasks: Config['tasks'],
): Promise<Touched> {
  const views = new Map((await schedules.list()).map((view) => [view.name, view]))
  const targets = targetSpecs(changes, [...views.values()], tasks)
  for (const name of targets.keys()) {
    const there = views.get(name)
    if (there === undefined || isOptimized(there)) continue
    throw new PrewarmError('CONFLICT', `There is a schedule '${name}' of your own: give it another name`)
  }
  const steps = new Steps()
  for (const [name, spec] of targets) {
    if (spec === null) continue
    const there = views.get(name)
    await put(steps, schedules, name, spec, there)
    // Paused by hand, while the old one went on, which is now to be paused.
    if (there?.paused && views.get(spec.replaces as string)?.paused === false) await resume(steps, schedules, name)
  }
  for (const base of replacedBy([...views.values()], targets)) {
    if (views.get(base)?.paused === false) await pause(steps, schedules, base)
  }
  for (const [name, spec] of targets) if (spec === null) await remove(steps, schedules, views.get(name) as ScheduleView)
  return steps.touched
}

/**
 * Takes back what {@linkcode applyChanges} did: the schedules that were paused for it go on, those that were registered are
 * removed. Safe to call where there is nothing to take back.
 *
 * @throws {PrewarmError} `STORE_*`; then those that were removed before are there again
 */
export async function revertChanges(schedules: Schedule): Promise<Touched> {
  const views = await schedules.list()
  const optimized = views.filter(isOptimized)
  const bases = new Set(optimized.map(({ spec }) => spec.replaces))
  const steps = new Steps()
  for (const { name } of views.filter((view) => bases.has(view.name) && view.paused))
    await resume(steps, schedules, name)
  for (const view of optimized) await remove(steps, schedules, view)
  return steps.touched
}

function replacedBy(views: readonly ScheduleView[], targets: ReadonlyMap<string, ScheduleSpec | null>): Set<string> {
  const kept = views
    .filter((view) => isOptimized(view) && !view.paused && !targets.has(view.name))
    .map(({ spec }) => spec)
  const added = [...targets.values()].flatMap((spec) => spec ?? [])
  return new Set([...kept, ...added].flatMap(({ replaces }) => replaces ?? []))
}

async function put(
  steps: Steps,
  schedules: Schedule,
  name: string,
  spec: ScheduleSpec,
  before: ScheduleView | undefined,
): Promise<void> {
  const undo = before === undefined ? () => schedules.remove(name) : () => restore(schedules, before)
  await steps.do('added', name, () => schedules.add(name, spec, { replace: true }), undo)
}

async function pause(steps: Steps, schedules: Schedule, name: string): Promise<void> {
  await steps.do(
    'paused',
    name,
    () => schedules.pause(name),
    () => schedules.resume(name),
  )
}

async function resume(steps: Steps, schedules: Schedule, name: string): Promise<void> {
  await steps.do(
    'resumed',
    name,
    () => schedules.resume(name),
    () => schedules.pause(name),
  )
}

async function remove(steps: Steps, schedules: Schedule, view: ScheduleView): Promise<void> {
  await steps.do(
    'removed',
    view.name,
    () => schedules.remove(view.name),
    () => restore(schedules, view),
  )
}

async function restore(schedules: Schedule, { name, spec, paused }: ScheduleView): Promise<void> {
  await schedules.add(name, spec, { replace: true })
  if (paused) await schedules.pause(name)
}
