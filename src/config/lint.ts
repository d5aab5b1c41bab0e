import { Cron } from 'croner'
import { showMs } from './duration.ts'
import type { Task } from './task.ts'

/** Things that are allowed and probably a mistake; each line names the place and the fix. */
export function lint(tasks: readonly Task[], nowMs: number): string[] {
  return [...duplicateKeys(tasks), ...tasks.flatMap((task) => [...shortTtl(task, nowMs), ...openParameters(task)])]
}

function duplicateKeys(tasks: readonly Task[]): string[] {
  const first = new Map<string, string>()
  const warnings: string[] = []
  for (const task of tasks) {
    const shape = task.key.source.replace(/\{\w+\}/g, '{}')
    const other = first.get(shape)
    if (other === undefined) first.set(shape, task.name)
    else {
      warnings.push(
        `tasks.${task.name}.key is '${task.key.source}', the same template as tasks.${other}: they overwrite each other; give one another prefix`,
      )
    }
  }
  return warnings
}

function shortTtl(task: Task, nowMs: number): string[] {
  if (task.schedule === undefined) return []
  const intervalMs = longestIntervalMs(task.schedule, nowMs)
  if (intervalMs === null || task.ttlMs * (1 - task.ttlJitter) >= intervalMs) return []
  return [
    `tasks.${task.name}.ttl is ${showMs(task.ttlMs)} (less ${Math.round(task.ttlJitter * 100)} % jitter) but its schedule runs every ${showMs(intervalMs)}: ` +
      `keys are gone before they are warmed again; raise ttl or run more often`,
  ]
}

/** The longest pause between runs among the next few, or null if it runs once at most. */
function longestIntervalMs(schedule: string, nowMs: number): number | null {
  try {
    const runs = new Cron(schedule, { paused: true }).nextRuns(12, new Date(nowMs)).map((run) => run.getTime())
    const pauses = runs.slice(1).map((run, index) => run - (runs[index] as number))
    return pauses.length === 0 ? null : Math.max(...pauses)
  } catch {
    return null
  }
}

function openParameters(task: Task): string[] {
  return task.params.required.map(
    (name) => `tasks.${task.name}.params.${name} has no default: every run must give --${name}; add a default`,
  )
}
