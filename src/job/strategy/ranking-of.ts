import type { Config } from '../../config/load.ts'
import type { Task } from '../../config/task.ts'
import type { JobRequest } from '../../types.ts'
import { JobRanking, type RankingSources } from './job-ranking.ts'

/**
 * How a request's keys are ranked.
 *
 * @param selected the tasks that it means
 * @throws {PrewarmError} `PARAM_INVALID` for a strategy that is not known
 */
export function rankingOf(
  { tasks, definition, settings }: Config,
  request: JobRequest,
  selected: readonly Task[],
  { demand, costs, clock }: RankingSources,
): JobRanking {
  const { strategies } = definition
  return new JobRanking({
    ...{ tasks, strategies, defaultStrategy: settings.defaultStrategy },
    ...{ selected, request, demand, costs, clock },
  })
}
