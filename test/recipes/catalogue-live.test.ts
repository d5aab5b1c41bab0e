import { existsSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { createCache } from '../../src/compose-cache.ts'
import { createWarmer, defineConfig } from '../../src/index.ts'
import { bucketKey, bucketOf, LAST_KEY } from '../../src/predict/buckets.ts'
import { catalogueTasks, createCatalogueWarmer } from '../../src/recipes/catalogue/index.ts'
import { psqlFile, until } from '../support/warming.ts'
import { type Ground, isFresh, openGround } from './support.ts'

const TIMEOUT = { timeout: 60_000 }

describe('recipe catalogue', () => {
  let ground: Ground

  before(async () => {
    ground = await openGround('recipes/catalogue/prewarm.config.ts')
    await loadShop(ground)
  }, TIMEOUT)
  beforeEach(() => ground.redis.flushall())
  after(() => ground.stop())

  /** The tracks that sell best, joined and sorted here and not in SQL. */
  async function tracks() {
    const { sql } = ground
    const [rows, albums, artists, genres, lines] = await Promise.all([
      sql`select *, unit_price::text as price from track`,
      sql`select * from album`,
      sql`select * from artist`,
      sql`select * from genre`,
      sql`select track_id, quantity from invoice_line`,
    ])
    const sold = new Map<number, number>()
    for (const { track_id, quantity } of lines) sold.set(track_id, (sold.get(track_id) ?? 0) + quantity)
    const album = new Map(albums.map((row) => [row.album_id, row]))
    const artist = new Map(artists.map((row) => [row.artist_id, row.name]))
    const genre = new Map(genres.map((row) => [row.genre_id, row.name]))
    return rows
      .map((row) => ({
        id: row.track_id as number,
        genreId: row.genre_id as number,
        fields: {
          track_id: row.track_id,
          name: row.name,
          album: album.get(row.album_id)?.title,
          artist: artist.get(album.get(row.album_id)?.artist_id),
          genre: genre.get(row.genre_id),
          milliseconds: row.milliseconds,
          unit_price: row.price,
          sold: sold.get(row.track_id) ?? 0,
        },
      }))
      .sort((a, b) => b.fields.sold - a.fields.sold || a.id - b.id)
  }

  it('warms the tracks that sell best, and those of each genre, as the tables say', TIMEOUT, async () => {
    const result = await ground.run({ params: { limit: 200, top: 3 } })
    assertEquals([result.status, result.keys.failed], ['success', 0])
    const all = await tracks()
    for (const { id, fields } of all.slice(0, 200)) {
      const texts = Object.entries(fields).flatMap(([name, value]) =>
        value === null || value === undefined ? [] : [[name, String(value)]],
      )
      assertEquals(await ground.redis.hgetall(`track:${id}`), Object.fromEntries(texts))
    }
    const genres = new Set(all.map(({ genreId }) => genreId))
    for (const genreId of genres) {
      const top = all.filter((one) => one.genreId === genreId).slice(0, 3)
      const list = top.map(({ fields: { track_id, name, artist = null, sold } }) => ({ track_id, name, artist, sold }))
      const stored = JSON.parse((await ground.redis.get(`genre:${genreId}:top`)) ?? 'null')
      assertEquals(stored, { genre_id: genreId, genre: top[0]?.fields.genre, tracks: list })
    }
    assertEquals((await ground.keys()).length, 200 + genres.size)
    assert(isFresh(await ground.redis.pttl(`track:${all[0]?.id}`), 3_600_000))
  })

  it('keeps what is critical in the cache, computed again in each round', TIMEOUT, async () => {
    const { sql, redis, urls } = ground
    await using cache = await createCache({ redis: urls.redis, redisTimeout: '5s', env: {} })
    await using reader = await createCache({ redis: urls.redis, redisTimeout: '5s', env: {} })
    const catalogue = createCatalogueWarmer({ cache })
    let rounds = 0
    catalogue.registerCriticalTask({
      key: 'catalogue:size',
      ttl: '10m',
      tags: ['catalogue'],
      priority: 100,
      async compute() {
        const [row] = await sql`select count(*)::int as tracks from track`
        return { tracks: row?.tracks, round: ++rounds }
      },
    })
    catalogue.registerCriticalTask({ key: 'catalogue:broken', compute: () => sql`select no_such_column from track` })
    await using handle = catalogue.startCacheWarming({ intervalMinutes: 0.01, enableCriticalWarming: true })
    await handle.firstRound
    const neverLoad = () => {
      throw new Error('the reader had to load')
    }
    const first = await reader.read<{ tracks: number; round: number }>('catalogue:size', { load: neverLoad })
    assertEquals([first.tier, first.status, first.filledBy], ['redis', 'hit', 'warm'])
    assertEquals(first.value?.tracks, (await sql`select count(*)::int as n from track`)[0]?.n)
    await until(async () => ((await reader.get<{ round: number }>('catalogue:size'))?.round ?? 0) >= 3)
    await handle.stop()
    const { running, tasks, criticalKeys, taskDetails } = catalogue.getWarmingStats()
    assertEquals([running, tasks, criticalKeys], [false, 2, ['catalogue:size', 'catalogue:broken']])
    const [size, broken] = taskDetails
    assertEquals([size?.lastStatus, size?.failures, size?.runs], ['written', 0, rounds])
    assertEquals([broken?.lastStatus, broken?.lastWarmedAt, broken?.failures], ['failed', null, broken?.runs])
    assert(broken?.lastError?.message.includes('no_such_column'), broken?.lastError?.message)
    assertEquals(await redis.exists('catalogue:broken'), 0)
    await reader.invalidateTags('catalogue')
    await until(async () => (await reader.get('catalogue:size')) === undefined)
  })

  it('warms one value, and never brings back what was deleted meanwhile', TIMEOUT, async () => {
    await using cache = await createCache({ redis: ground.urls.redis, redisTimeout: '5s', env: {} })
    const catalogue = createCatalogueWarmer({ cache })
    assertEquals(
      await catalogue.warmCache({ key: 'film:1', ttl: '1m', compute: () => ({ title: 'Alien' }) }),
      'written',
    )
    assertEquals(await cache.get('film:1'), { title: 'Alien' })
    const outcome = await catalogue.warmCache({
      key: 'film:1',
      async compute() {
        await cache.delete('film:1')
        return { title: 'old' }
      },
    })
    assertEquals([outcome, await cache.get('film:1')], ['skipped_newer', undefined])
  })

  it('warms what readers are predicted to want, by the tasks that have it', TIMEOUT, async () => {
    const { redis, urls } = ground
    await using warmer = await createWarmer({
      config: defineConfig({ tasks: { ...catalogueTasks(), ...tracksByName(ground) } }),
      redisUrl: urls.redis,
      databaseUrl: urls.database,
      env: {},
    })
    await using cache = await createCache({ redis: urls.redis, redisTimeout: '5s', env: {} })
    const catalogue = createCatalogueWarmer({ cache, warmer, patternLimit: 2 })
    const round = async () => {
      await using handle = catalogue.startCacheWarming({ enablePatternWarming: true, enableCriticalWarming: false })
      await handle.firstRound
      return catalogue.getWarmingStats().lastPatternRun
    }
    assertEquals([(await round())?.status, (await redis.keys('name:*')).length], ['skipped', 0])
    const nowMs = Date.now()
    for (const [reads, key] of [
      [9, 'name:2'],
      [5, 'name:7'],
      [1, 'name:9'],
    ] as const) {
      await redis.zadd(bucketKey(bucketOf(nowMs)), reads, key)
      await redis.zadd(LAST_KEY, nowMs, key)
    }
    const run = await round()
    assertEquals([run?.predicted, run?.written, run?.status, run?.error], [2, 2, 'success', null])
    assertEquals((await redis.keys('name:*')).sort(), ['name:2', 'name:7'])
  })
})

/** A keyspace whose keys can be warmed by name. */
function tracksByName({ sql }: Ground) {
  return {
    names: {
      kind: 'load' as const,
      key: 'name:{track_id}',
      async load(_: string[], { ids }: { ids: Record<string, string>[] }) {
        const wanted = ids.map(({ track_id }) => Number(track_id))
        const rows = await sql`select track_id, name from track where track_id in ${sql(wanted)}`
        return new Map(rows.map((row) => [`name:${row.track_id}`, { name: row.name }]))
      },
    },
  }
}

/** Chinook where it is present, else a small shop with the same tables. Says which. */
async function loadShop({ sql, urls }: Ground): Promise<void> {
  const folders = [join(import.meta.dirname, '../../../shared/data'), process.env.PREWARM_SHARED_DATA ?? '']
  const file = folders.map((folder) => join(folder, 'chinook.sql')).find((path) => existsSync(path))
  if (file !== undefined) return psqlFile(urls.database, file)
  console.log(`chinook.sql is not in ${folders[0]} nor in $PREWARM_SHARED_DATA: using a small made-up shop instead`)
  await sql.unsafe(MADE_UP)
}

const MADE_UP = `
create table artist as select n as artist_id, 'Ärtist ' || n as name from generate_series(1, 20) n;
create table album as select n as album_id, 'Album ' || n as title, 1 + n % 20 as artist_id from generate_series(1, 60) n;
create table genre as select n as genre_id, 'Genre ' || n as name from generate_series(1, 8) n;
create table track as select n as track_id, 'Title ' || n as name, case when n % 50 > 0 then 1 + n % 60 end as album_id,
  1 + n % 8 as genre_id, 180000 + n * 7919 % 90000 as milliseconds, (0.99 + n % 2)::numeric(10, 2) as unit_price
  from generate_series(1, 400) n;
create table invoice_line as select n as invoice_line_id, 1 + n * n % 400 as track_id, 1 + n % 3 as quantity
  from generate_series(1, 900) n;
`
