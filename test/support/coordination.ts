/** What tests of prewarm's own records in Redis share. */
import { Redis } from 'ioredis'
import { systemClock } from '../../src/clock.ts'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { currentRuntime } from '../../src/runtime/index.ts'

export const clock = systemClock(currentRuntime().nowNs)

/** A client for looking; its errors are told by the commands that fail. */
export function looker(url: string): Redis {
  const redis = new Redis(url)
  redis.on('error', () => {})
  return redis
}

export function commandsTo(url: string, timeoutMs?: number): RedisCommands {
  return new RedisCommands({ url, clock, ...(timeoutMs === undefined ? {} : { timeoutMs }) })
}

/** Gives `work` as many connections as instances, and closes them. */
export async function withInstances<T>(
  url: string,
  count: number,
  work: (instances: RedisCommands[]) => Promise<T>,
): Promise<T> {
  const instances = Array.from({ length: count }, () => commandsTo(url))
  try {
    return await work(instances)
  } finally {
    await Promise.all(instances.map((commands) => commands.close()))
  }
}

export const sleep = (ms: number) => clock.sleep(ms)

/** Resolves when `check` holds; throws after `deadlineMs`. */
export async function until(check: () => boolean | Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  const end = Date.now() + deadlineMs
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`waited ${deadlineMs} ms for ${check}`)
    await sleep(5)
  }
}
