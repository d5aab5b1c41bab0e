import type { Failure } from '../errors.ts'
import { toFailure } from '../errors.ts'
import type { Reloaded, Service } from './service.ts'

/** How far the daemon is. */
export type Phase = 'starting' | 'serving' | 'stopping'

/** What the daemon says of itself over its socket. */
export interface Identity {
  pid: number
  name: string
  version: string
  /** ISO 8601 */
  startedAt: string
  configFile: string | null
  /** Where it listens; null until it does. */
  url: string | null
  log: string
  drainMs: number
  phase: Phase
}

export interface Ready {
  phase: Phase
  ready: boolean
  /** Its first warm-up has ended, or its time is up. */
  warm: boolean
  failures: Failure[]
}

export interface LastJob {
  id: string
  traceId: string
  source: string
  status: string
  tasks: string[]
  submittedAt: string
  keysWritten: number | null
  keysPlanned: number | null
}

export interface DaemonStatus extends Identity {
  ready: boolean
  warm: boolean
  failures: Failure[]
  activeJobs: number
  lastJob: LastJob | null
}

export interface ControlParts {
  identity: () => Identity
  /** Absent until it serves. */
  service: () => Service | undefined
  reload: () => Promise<Reloaded>
  stop: () => void
  /** The environment that a restart needs. */
  variables: () => Record<string, string>
}

/** A store that does not answer holds no answer up, ms. */
const ASK_TIMEOUT_MS = 2000

/** What the daemon answers on its socket. Who may open that may do all this: its folder is its user's alone. */
export function controlHandler(parts: ControlParts): (request: Request) => Promise<Response> {
  const routes: Record<string, () => Promise<unknown>> = {
    'GET /identity': async () => parts.identity(),
    'GET /ready': () => ready(parts),
    'GET /status': () => status(parts),
    'GET /variables': async () => parts.variables(),
    'POST /reload': () => parts.reload(),
    'POST /stop': async () => {
      parts.stop()
      return { phase: 'stopping' }
    },
  }
  return async (request) => {
    const route = routes[`${request.method} ${new URL(request.url).pathname}`]
    if (route === undefined) return Response.json({ code: 'NOT_FOUND' }, { status: 404 })
    try {
      return Response.json(await route())
    } catch (error) {
      return Response.json(toFailure(error), { status: 500 })
    }
  }
}

async function ready({ identity, service }: ControlParts): Promise<Ready> {
  const { phase } = identity()
  const warmer = service()?.warmer
  if (warmer === undefined || phase !== 'serving') return { phase, ready: false, warm: false, failures: [] }
  const silent: Failure = { code: 'NOT_READY', message: `the servers did not answer within ${ASK_TIMEOUT_MS} ms` }
  const answer = await orElse(warmer.readiness(), { ready: false, failures: [silent] })
  return { phase, ...answer, warm: warmer.isWarm }
}

async function status(parts: ControlParts): Promise<DaemonStatus> {
  const warmer = parts.service()?.warmer
  const [now, jobs] = await Promise.all([ready(parts), warmer === undefined ? [] : orElse(warmer.jobs(), [])])
  const job = jobs[0]
  const lastJob: LastJob | null =
    job === undefined
      ? null
      : {
          id: job.id,
          traceId: job.traceId,
          source: job.source,
          status: job.status,
          tasks: job.tasks,
          submittedAt: job.submittedAt,
          keysWritten: job.result?.keys.written ?? null,
          keysPlanned: job.result?.keys.planned ?? null,
        }
  return { ...parts.identity(), ...now, activeJobs: warmer?.status().activeJobs ?? 0, lastJob }
}

/** `work`, or `otherwise` if it fails or takes too long. */
async function orElse<T>(work: Promise<T>, otherwise: T): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>()
  const timer = setTimeout(() => resolve(otherwise), ASK_TIMEOUT_MS)
  return Promise.race([work.catch(() => otherwise), promise]).finally(() => clearTimeout(timer))
}
