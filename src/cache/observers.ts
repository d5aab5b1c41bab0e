import type { CacheObserver, ReadTold, Tier } from './types.ts'

/** Tells several observers; what one throws is reported, and keeps nobody from hearing. */
export function tellAll(observers: readonly CacheObserver[], onError: (error: unknown) => void): CacheObserver {
  const each = (tell: (observer: CacheObserver) => void) => {
    for (const observer of observers) {
      try {
        tell(observer)
      } catch (error) {
        onError(error)
      }
    }
  }
  return {
    read: (told: ReadTold) => each((observer) => observer.read(told)),
    error: (of: { keyspace: string | null; tier: Tier }) => each((observer) => observer.error(of)),
    invalidated: (count: number) => each((observer) => observer.invalidated(count)),
    warmed: (of: { keyspace: string | null; ttlMs: number }) => each((observer) => observer.warmed?.(of)),
  }
}
