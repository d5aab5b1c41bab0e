/** What does it cost to turn a value into what Redis takes? One value; then a script's arguments for 250 of them. */
import { bench, do_not_optimize, group, run } from 'mitata'
import { codecFor } from '../src/codec/index.ts'
import type { Codec } from '../src/codec/types.ts'
import { keyTemplate } from '../src/keyspace/template.ts'
import { jitteredTtlMs } from '../src/keyspace/ttl.ts'
import { chunksOf, scriptArgs } from '../src/store/write-script.ts'
import { check } from './support/check.ts'
import { makeProfiles, PROFILE_TTL_MS, profileKey } from './support/profiles.ts'

const profiles = makeProfiles(250)
const profile = profiles[7] as (typeof profiles)[number]
const text = JSON.stringify(profile)
const list = Object.entries(profile).flatMap(([name, value]) => [name, String(value)])
const template = keyTemplate('user:{id}:profile')
const context = { key: 'user:7:profile', ttlMs: PROFILE_TTL_MS, nowMs: 0 }
const [asString, asJson, asHash] = [codecFor('string'), codecFor('json'), codecFor('hash')]

const entriesOf = (codec: Codec) =>
  profiles.map((value) => ({
    key: profileKey(value.id),
    ttlMs: PROFILE_TTL_MS,
    encoded: codec.encode(value, context),
    version: '7',
  }))
const jsonEntries = entriesOf(asJson)
const hashEntries = entriesOf(asHash)
const argsOf = (entries: typeof jsonEntries, mode: 'overwrite' | 'newer') =>
  chunksOf(entries).map((chunk) => scriptArgs(chunk, mode, mode === 'newer' ? 'beside' : 'none', ''))

const json = asJson.encode(profile, context)
check(json.type === 'string' && Bun.deepEquals(JSON.parse(json.value), profile), 'JSON does not round-trip')
check(Bun.deepEquals(asHash.encode(list, context), { type: 'hash', fields: list }), 'a hash list is changed')
check(Bun.deepEquals(template.match(template.format(profile)), { id: '7' }), 'a key does not round-trip')
const args = argsOf(jsonEntries, 'overwrite').flat()
check(args.length === 1 + 251 + 6 + 250 * 2 && args.at(-1) === JSON.stringify(profiles.at(-1)), 'arguments are lost')

group('one value', () => {
  bench('JSON.stringify, for comparison', () => do_not_optimize(JSON.stringify(profile))).baseline(true)
  bench('string codec', () => do_not_optimize(asString.encode(text, context)))
  bench('json codec', () => do_not_optimize(asJson.encode(profile, context)))
  bench('hash codec, a list from Postgres', () => do_not_optimize(asHash.encode(list, context)))
  bench('hash codec, an object', () => do_not_optimize(asHash.encode(profile, context)))
})

group('one key', () => {
  bench('format', () => do_not_optimize(template.format(profile)))
  bench('match', () => do_not_optimize(template.match('user:7:profile')))
  bench('TTL with jitter', () => do_not_optimize(jitteredTtlMs('user:7:profile', PROFILE_TTL_MS, 0.1)))
})

group('arguments of the script, 250 entries', () => {
  bench('JSON', () => do_not_optimize(argsOf(jsonEntries, 'overwrite'))).baseline(true)
  bench('JSON with versions beside', () => do_not_optimize(argsOf(jsonEntries, 'newer')))
  bench('hashes of 10 fields', () => do_not_optimize(argsOf(hashEntries, 'overwrite')))
})

await run({ throw: true })
