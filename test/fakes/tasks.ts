import type { ConfigDefinition, HttpOptions, LoadOptions, SqlOptions, TaskDefinition } from '../../src/config/define.ts'
import { http, load, sql } from '../../src/config/define.ts'
import { type Config, resolveConfig } from '../../src/config/load.ts'
import type { HttpTask, LoadTask, SqlTask, Task } from '../../src/config/task.ts'

/** A settled configuration of these tasks. */
export function configOf(tasks: Record<string, TaskDefinition>, rest: Partial<ConfigDefinition> = {}): Config {
  return resolveConfig({ tasks, ...rest }, { flags: { workers: 0 } }, 4)
}

export function taskOf(definition: TaskDefinition, name = 'one'): Task {
  return configOf({ [name]: definition }).tasks.get(name) as Task
}

export function loadTask(options: Partial<LoadOptions> = {}): LoadTask {
  return taskOf(
    load({ key: 'k:{id}', load: (keys) => new Map(keys.map((key) => [key, { key }])), ...options }),
  ) as LoadTask
}

export function httpTask(options: Partial<HttpOptions> = {}): HttpTask {
  return taskOf(http({ key: 'k:{id}', url: 'https://origin.example/{id}', ...options })) as HttpTask
}

export function sqlTask(options: Partial<SqlOptions> = {}): SqlTask {
  return taskOf(sql({ key: 'k:{id}', value: 'hash', query: 'select * from t', ...options })) as SqlTask
}

/** `k:1` … `k:count` */
export function keys(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `k:${index + 1}`)
}
