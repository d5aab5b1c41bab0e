import { hostname } from 'node:os'
import { getLogger } from '@logtape/logtape'
import type { Clock } from './clock.ts'
import { composePrediction, type Prediction } from './compose-predict.ts'
import { composeSnapshots } from './compose-snapshot.ts'
import type { Settings } from './config/settings.ts'
import { RedisJobLog } from './coordination/job-log.ts'
import { RedisLocks } from './coordination/lock.ts'
import { MemoryJobLog } from './coordination/memory-job-log.ts'
import { publishEvents } from './coordination/publisher.ts'
import { RedisCommands } from './coordination/redis-commands.ts'
import { RedisScheduleStore } from './coordination/schedule-store.ts'
import { RedisSharedRate } from './coordination/shared-rate.ts'
import type { SharedRate } from './coordination/types.ts'
import { isPrewarmError, PrewarmError } from './errors.ts'
import { EventLog } from './events/event-log.ts'
import { GainLog, type PoolFigures } from './gain/gain-log.ts'
import { poolOf } from './gain/sizes.ts'
import { ToldReadsLog } from './learn/told.ts'
import { createMetrics } from './metrics/prometheus.ts'
import { traceJobs } from './metrics/tracer.ts'
import { AccessLog } from './predict/access-log.ts'
import { DemandReader } from './predict/demand.ts'
import type { Runtime } from './runtime/types.ts'
import { Rewarm } from './schedule/rewarm.ts'
import { Scheduler } from './schedule/scheduler.ts'
import { SnapshotKeeper } from './snapshot/keeper.ts'
import type { Store } from './store/types.ts'
import type { Warmer } from './warmer.ts'
import type { Current, ServiceParts, WarmerParts } from './warmer-parts.ts'

const log = getLogger(['prewarm'])

/** How often jobs of instances that are gone are looked for, ms: their heartbeat lasts as long. */
const ADOPT_MS = 15_000

export interface ServiceOptions {
  current: Current
  redisUrl: string
  tls: object | undefined
  store: Store
  clock: Clock
  random: () => number
  runtime: Runtime
  /** It is there for others, not for one run: it keeps its jobs in Redis, its schedules, and takes up what others left. */
  isService: boolean
}

type Composed = Pick<
  WarmerParts,
  | 'instance'
  | 'events'
  | 'jobLog'
  | 'locks'
  | 'commands'
  | 'predictor'
  | 'prediction'
  | 'demand'
  | 'costs'
  | 'schedules'
  | 'snapshots'
  | 'metrics'
  | 'recordAccess'
  | 'recordReads'
  | 'gain'
  | 'service'
> & { sharedRate: SharedRate | undefined; close(): Promise<void> }

/** Builds what a warmer keeps in Redis beside the values. Nothing is connected before it is first used. */
export function composeService(options: ServiceOptions): Composed {
  const { current, redisUrl, tls, store, clock, random, runtime, isService } = options
  const onError = (error: unknown) => log.warn('a listener threw: {error}', { error })
  const instance = `${hostname()}-${crypto.randomUUID().slice(0, 8)}`
  const events = new EventLog({ clock, onError })
  const notNoted = (error: unknown) => log.warn('a job could not be noted in Redis yet: {error}', { error })
  const commands = new RedisCommands({ url: redisUrl, tls, clock, onError })
  const locks = new RedisLocks({ commands, clock })
  const prediction = composePrediction({ current, commands, locks, clock, random, runtime, instance })
  const { predictor } = prediction
  const demand = new DemandReader({
    ...{ commands, clock },
    onError: (error) => log.debug('reads can not be looked at: {error}', { error }),
  })
  const access = new AccessLog({ commands, clock, onError: (error) => log.debug('reads not sent: {error}', { error }) })
  let figures = (): PoolFigures => ({ size: 0, available: 0, pending: 0 })
  const gain = new GainLog({
    ...{ commands, clock, access },
    pool: { instance, figures: () => figures() },
    onError: (error) => log.debug('figures not sent: {error}', { error }),
  })
  const told = new ToldReadsLog({ access, counters: gain.counters, commands, clock })
  const endFlushes = events.on('job_ended', () => void gain.flush())
  const jobLog = isService ? new RedisJobLog({ commands, clock, instance, onError: notNoted }) : new MemoryJobLog()
  const config = () => current.config
  const service = (warmer: Warmer): ServiceParts => {
    figures = () => poolOf(warmer.status())
    return composeLoops({
      ...{ warmer, locks, commands, store, clock, instance, gain, prediction },
      jobLog: jobLog as RedisJobLog,
    })
  }
  return {
    instance,
    events,
    commands,
    locks,
    predictor,
    prediction: () => predictor.look(),
    demand: () => demand.read(),
    costs: () => gain.costs.read(),
    jobLog,
    gain,
    recordAccess: (key, tier) => access.record(key, tier),
    recordReads: (reads) => told.add(reads),
    sharedRate: current.config.settings.shareOriginRps
      ? new RedisSharedRate({ commands, clock, maxRps: () => config().settings.maxOriginRps })
      : undefined,
    schedules: (warmer) =>
      new Scheduler({
        config,
        store: new RedisScheduleStore({ commands }),
        locks,
        submit: (request) => warmer.submit(request),
        predict: (options) => predictor.predict(options),
        events,
        clock,
        random,
      }),
    snapshots: (warmer) => composeSnapshots(warmer, () => access.flush()),
    metrics: (warmer) =>
      createMetrics({
        events,
        reads: gain.counters,
        status: () => warmer.status(),
        prediction: () => predictor.status,
        storeStats: () => store.stats(),
        tasks: () => [...config().tasks.keys()],
        clock,
      }),
    service: isService ? service : null,
    async close() {
      endFlushes()
      await prediction.close()
      await gain.stop()
      await commands.close()
    },
  }
}

interface LoopParts {
  warmer: Warmer
  jobLog: RedisJobLog
  locks: RedisLocks
  commands: RedisCommands
  store: Store
  clock: Clock
  instance: string
  gain: GainLog
  prediction: Prediction
}

/** What a service does by itself. */
function composeLoops(parts: LoopParts): ServiceParts {
  const { warmer, jobLog, locks, commands, store, clock, instance, gain, prediction } = parts
  const { events } = warmer
  const ends: (() => void | Promise<void>)[] = []
  const ending = new AbortController()
  const adopt = async () => {
    for (const record of await jobLog.adopt()) takeUp(warmer, jobLog, record)
  }
  const adoptLoop = async () => {
    while (!ending.signal.aborted) {
      await adopt().catch((error) => log.warn('unfinished jobs can not be looked for: {error}', { error }))
      await clock.sleep(ADOPT_MS, ending.signal)
    }
  }
  /** What begins after `stop` nobody would end. */
  const unlessEnding = () => {
    if (ending.signal.aborted) throw new PrewarmError('STOPPED', 'The warmer was stopped while it started')
  }
  return {
    async start() {
      const { settings } = warmer.config
      unlessEnding()
      ends.push(() => jobLog.stop())
      await jobLog.start()
      unlessEnding()
      gain.start()
      ends.push(() => gain.stop(), traceJobs({ events, clock }))
      ends.push(await prediction.start())
      if (settings.publishEvents) ends.push(publishEvents({ events, commands, clock, instance }))
      const keeper = new SnapshotKeeper({
        ...{ snapshots: warmer.snapshots, locks, instance, clock },
        settings: () => warmer.config.settings.snapshot,
      })
      keeper.start()
      ends.push(() => keeper.stop())
      const adopting = adoptLoop()
      ends.push(() => adopting)
      await warmer.schedules.start()
      unlessEnding()
      const rewarm = rewarmOf(settings, { warmer, locks, store, clock })
      if (rewarm !== undefined) {
        rewarm.start()
        ends.push(() => rewarm.stop())
      }
    },
    async stop() {
      ending.abort()
      const results = await Promise.allSettled(ends.splice(0).map(async (end) => end()))
      for (const result of results)
        if (result.status === 'rejected') log.warn('clean-up failed: {error}', { error: result.reason })
    },
  }
}

/** A schedule's run belongs to its schedule: its lock is gone, and the next run comes anyway. */
function takeUp(warmer: Warmer, jobLog: RedisJobLog, record: Parameters<Warmer['resubmit']>[0]): void {
  const { id, source, traceId } = record
  try {
    if (source === 'schedule' || source === 'rewarm') void jobLog.end({ ...record, status: 'cancelled' })
    else {
      log.warn('job {jobId} was left unfinished: it is taken up again', { jobId: id, traceId })
      warmer.resubmit(record)
    }
  } catch (error) {
    // It stays as it was noted, for the next start or another instance.
    if (isPrewarmError(error) && error.code === 'STOPPED') return
    log.warn('job {jobId} can not be taken up again: {error}', { jobId: id, traceId, error })
    void jobLog.end({ ...record, status: 'failed' })
  }
}

function rewarmOf(
  { rewarm }: Settings,
  { warmer, locks, store, clock }: Pick<LoopParts, 'warmer' | 'locks' | 'store' | 'clock'>,
): Rewarm | undefined {
  if (rewarm === undefined) return undefined
  return new Rewarm({
    settings: rewarm,
    // What the application tells is better than what Redis counts: that holds everybody's reads, also of other keys.
    async readHits() {
      const { hits, misses } = warmer.reads
      if (hits + misses > 0) return { hits, misses }
      const { keyspaceHits, keyspaceMisses } = await store.stats()
      return { hits: keyspaceHits, misses: keyspaceMisses }
    },
    submit: (request) => warmer.submit(request),
    locks,
    events: warmer.events,
    clock,
    isBusy: () => warmer.status().activeJobs > 0,
  })
}
