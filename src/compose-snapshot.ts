import { dirname, resolve } from 'node:path'
import { fileTarget } from './snapshot/file.ts'
import { redisTarget } from './snapshot/redis-target.ts'
import { Snapshots } from './snapshot/snapshots.ts'
import { isRedisTarget } from './snapshot/target.ts'
import type { SnapshotTarget } from './snapshot/types.ts'
import type { Warmer } from './warmer.ts'

/** A warmer's snapshots: in files, and in the Redis that it warms. @param flush see `SnapshotParts` */
export function composeSnapshots(warmer: Warmer, flush: () => Promise<void>): Snapshots {
  const { clock, store, commands } = warmer
  const fileBeside = (to: string): SnapshotTarget => {
    const { file } = warmer.config
    return fileTarget(to, file === undefined ? resolve(to) : resolve(dirname(file), to))
  }
  return new Snapshots({
    ...{ clock, store, flush },
    config: () => warmer.config,
    predict: (options) => warmer.predict(options),
    submit: (request) => warmer.submit(request),
    tasksOf: (keys) => warmer.tasksOf(keys),
    targetOf: (to, isConfigured) => {
      if (isRedisTarget(to)) return redisTarget(to, commands)
      return isConfigured ? fileBeside(to) : fileTarget(to, resolve(to))
    },
  })
}
