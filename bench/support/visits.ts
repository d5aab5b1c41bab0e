import { seeded } from './traces.ts'

export interface Traffic {
  /** Tokens in the order of their requests, and when each comes, s. */
  tokens: string[]
  atSeconds: number[]
  /** Visits under way at the beginning, and begun later. */
  underWay: number
  begun: number
}

export interface TrafficOptions {
  /** Tokens of all sessions that were active in the last day, the last active first. */
  newestFirst: readonly string[]
  /** Requests of a visit, on average. */
  perVisit: number
  seconds: number
}

/** Seconds between two requests of a visit, on average. */
export const GAP_SECONDS = 15

/**
 * Requests of visitors. A day's sessions are a day's visits, spread evenly: so many begin each second, each asks `perVisit` times
 * (geometric), {@linkcode GAP_SECONDS} apart (exponential). Who is in the middle of a visit at the beginning was active last; who
 * comes later is anyone of the day's sessions.
 */
export function visits({ newestFirst, perVisit, seconds }: TrafficOptions): Traffic {
  const random = seeded(7)
  const exponential = (mean: number) => -mean * Math.log(1 - random())
  const perSecond = newestFirst.length / 86_400
  const underWay = Math.min(newestFirst.length, Math.round(perSecond * perVisit * GAP_SECONDS))
  const requests: { at: number; token: string }[] = []
  const visit = (token: string, from: number) => {
    for (let at = from; at < seconds; at += exponential(GAP_SECONDS)) {
      requests.push({ at, token })
      if (random() < 1 / perVisit) return
    }
  }
  for (const token of newestFirst.slice(0, underWay)) visit(token, exponential(GAP_SECONDS))
  let begun = 0
  for (let at = exponential(1 / perSecond); at < seconds; at += exponential(1 / perSecond)) {
    begun++
    visit(newestFirst[Math.floor(random() * newestFirst.length)] as string, at)
  }
  requests.sort((a, b) => a.at - b.at)
  return { tokens: requests.map(({ token }) => token), atSeconds: requests.map(({ at }) => at), underWay, begun }
}
