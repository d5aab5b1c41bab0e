import type { Config } from '../config/load.ts'
import type { Task } from '../config/task.ts'
import { selectTasks, settleParams } from '../job/select.ts'
import type { JobRequest, Params } from '../types.ts'

/** One task that a request means, with the values it will run with. */
export interface Selected {
  task: Task
  priority: number
  params: Params
  batchSize: number
}

/**
 * The tasks a request means, warmest first.
 *
 * @throws {PrewarmError} `TASK_UNKNOWN`, `PARAM_INVALID`, `USAGE`
 */
export function select(config: Config, request: JobRequest): Selected[] {
  const tasks = selectTasks(config.tasks, request)
  const params = settleParams(tasks, request.params)
  return tasks.map((task) => ({
    task,
    priority: request.priority ?? task.priority,
    params: params.get(task.name) as Params,
    batchSize: request.batchSize ?? task.batchSize,
  }))
}
