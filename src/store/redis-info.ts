import type { StoreStats } from './types.ts'

/** What INFO tells of memory and hits. https://redis.io/docs/latest/commands/info/ */
export function statsOf(info: string): StoreStats {
  return {
    version: field(info, 'valkey_version') ?? field(info, 'redis_version') ?? 'unknown',
    usedMemoryBytes: Number(field(info, 'used_memory') ?? 0),
    maxMemoryBytes: Number(field(info, 'maxmemory') ?? 0),
    evictionPolicy: field(info, 'maxmemory_policy') ?? 'unknown',
    evictedKeys: Number(field(info, 'evicted_keys') ?? 0),
    keyspaceHits: Number(field(info, 'keyspace_hits') ?? 0),
    keyspaceMisses: Number(field(info, 'keyspace_misses') ?? 0),
  }
}

/** Names one run of the server: another after a restart. Empty where INFO does not tell. */
export function runIdOf(info: string): string {
  return field(info, 'run_id') ?? ''
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim()
}
