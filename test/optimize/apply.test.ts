import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertStringIncludes } from '@std/assert'
import { load } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import type { Schedules } from '../../src/facade.ts'
import { applyChanges, revertChanges } from '../../src/optimize/apply.ts'
import { optimizedName, restName } from '../../src/optimize/specs.ts'
import type { Change } from '../../src/optimize/types.ts'
import { schedulesByTask } from '../../src/optimize/warmed-by.ts'
import { configWith, everyMinute, instanceOn, sharedAt } from '../schedule/support.ts'
import { MINUTE } from './support.ts'

const tasks = {
  films: load({ key: 'film:{id}', params: { limit: 50, days: 7 }, load: () => new Map() }),
  users: load({ key: 'user:{id}', tags: ['people'], load: () => new Map() }),
  rates: load({ key: 'rate:{id}', tags: ['people'], load: () => new Map() }),
}

function setup(
  schedules: Parameters<typeof configWith>[0] = { all: { cron: '0 * * * *', jitter: '5s', priority: 7 } },
) {
  const shared = sharedAt('2026-03-01T00:00:30.000Z')
  const config = configWith(schedules, tasks as never)
  const instance = instanceOn(shared, config)
  const { scheduler } = instance
  const state = async () =>
    Object.fromEntries(
      (await scheduler.list()).map(({ name, paused, spec }) => [
        name,
        paused ? 'paused' : `${spec.cron ?? spec.intervalMs} ${spec.tasks?.join(',') ?? 'all'}`,
      ]),
    )
  const apply = (changes: Change[], on: Schedules = scheduler) => applyChanges(changes, on, config.tasks)
  return { ...instance, shared, config, scheduler, state, apply }
}

function change(over: Partial<Change> = {}): Change {
  return {
    task: 'films',
    schedule: 'all',
    field: 'interval',
    from: 60 * MINUTE,
    to: 4 * MINUTE,
    reason: 'why',
    ...over,
  }
}

/** `schedules` of which the `at`-th change fails, after it was made or before. */
function failing(schedules: Schedules, at: number, when: 'before' | 'after'): Schedules {
  let count = 0
  const wrapped = (name: 'add' | 'remove' | 'pause' | 'resume') => {
    return async (...args: never[]) => {
      const isIt = ++count === at
      const fail = new PrewarmError('STORE_UNREACHABLE', 'Redis is away')
      if (isIt && when === 'before') throw fail
      const result = await (schedules[name] as (...args: never[]) => Promise<unknown>).apply(schedules, args)
      if (isIt) throw fail
      return result
    }
  }
  return {
    list: () => schedules.list(),
    ...Object.fromEntries((['add', 'remove', 'pause', 'resume'] as const).map((name) => [name, wrapped(name)])),
  } as unknown as Schedules
}

describe('applyChanges', () => {
  it('gives the task a schedule of its own, pauses the one it had, and lets the other tasks go on', async () => {
    const s = setup()
    const touched = await s.apply([change(), change({ field: 'limit', from: null, to: 20 })])
    assertEquals(touched, { added: ['optimized-films', 'optimized--all'], removed: [], paused: ['all'], resumed: [] })
    assertEquals(await s.state(), {
      all: 'paused',
      'optimized--all': '0 * * * * users,rates',
      'optimized-films': '240000 films',
    })
    const specs = new Map((await s.scheduler.list()).map(({ name, spec }) => [name, spec]))
    const { intervalMs, limit, priority, jitterMs, replaces, predictive } = specs.get('optimized-films') ?? {}
    assertEquals([intervalMs, limit, priority, jitterMs, replaces, predictive], [240_000, 20, 7, 5000, 'all', false])
    assertEquals(specs.get('optimized--all')?.jitterMs, 5000)
  })

  it('keeps the prediction of a schedule that had one', async () => {
    const s = setup({ all: { preset: 'daily', critical: false, tasks: ['films'], limit: 9 } })
    await s.apply([change({ field: 'ttl', to: 90 * MINUTE })])
    const rest = (await s.scheduler.list()).find(({ name }) => name === 'optimized--all')?.spec
    assertEquals([rest?.predictive, rest?.tasks, rest?.limit, rest?.cron], [true, undefined, 9, '0 2 * * *'])
    const own = (await s.scheduler.list()).find(({ name }) => name === 'optimized-films')?.spec
    assertEquals([own?.cron, own?.ttlMs, own?.limit], ['0 2 * * *', 90 * MINUTE, 9])
  })

  it('raises the parameter that lists more keys, and lowers by the limit', async () => {
    const s = setup({ films: { cron: '0 * * * *', tasks: ['films'], params: { days: 3 } } })
    await s.apply([change({ schedule: 'films', field: 'limit', from: 50, to: 80 })])
    const spec = async () => (await s.scheduler.list()).find(({ name }) => name === 'optimized-films')?.spec
    assertEquals([(await spec())?.params, (await spec())?.limit], [{ days: 3, limit: 80 }, undefined])
    await s.apply([change({ schedule: 'optimized-films', field: 'limit', from: 80, to: 30 })])
    assertEquals([(await spec())?.params, (await spec())?.limit], [{ days: 3, limit: 80 }, 30])
  })

  it('replaces what was applied before, also where the next task of the same schedule follows', async () => {
    const s = setup()
    await s.apply([change()])
    await s.apply([
      change({ schedule: 'optimized-films', from: 4 * MINUTE, to: 10 * MINUTE }),
      change({ task: 'users', schedule: 'optimized--all' }),
    ])
    assertEquals(await s.state(), {
      all: 'paused',
      'optimized--all': '0 * * * * rates',
      'optimized-films': '600000 films',
      'optimized-users': '240000 users',
    })
    const touched = await s.apply([change({ task: 'rates', schedule: 'optimized--all' })])
    assertEquals([touched.added, touched.removed, touched.paused], [['optimized-rates'], ['optimized--all'], []])
    assertEquals(Object.keys(await s.state()), ['all', 'optimized-films', 'optimized-rates', 'optimized-users'])
  })

  it('is what a running instance runs, and what survives its end', async () => {
    const s = setup({ all: { cron: '0 * * * *', tasks: ['films'] } })
    await s.scheduler.start()
    const other = instanceOn(s.shared, s.config)
    await other.scheduler.start()
    await s.apply([change({ to: 4 * MINUTE }), change({ field: 'ttl', to: 9 * MINUTE })])
    await s.clock.advance(61 * MINUTE)
    const jobs = [...s.warmer.jobs, ...other.warmer.jobs]
    assertEquals(jobs.length, 15)
    assertEquals(
      new Set(jobs.map(({ request }) => `${request.schedule} ${request.ttlMs}`)),
      new Set(['optimized-films 540000']),
    )
    await Promise.all([s.scheduler.stop(), other.scheduler.stop()])
    assertEquals(await s.state(), { all: 'paused', 'optimized-films': '240000 films' })
  })

  it('leaves no task without a schedule where its own was paused by hand, and the old one goes on', async () => {
    const s = setup({ all: { cron: '0 * * * *', tasks: ['films'] } })
    await s.apply([change()])
    await s.scheduler.pause('optimized-films')
    await s.scheduler.resume('all')
    const before = await s.state()
    await s.apply([])
    assertEquals(await s.state(), before)
    const again = [change({ to: 8 * MINUTE })]
    for (let at = 1; at <= 3; at++) {
      await assertRejects(() => s.apply(again, failing(s.scheduler, at, 'after')), PrewarmError)
      assertEquals(await s.state(), before, String(at))
    }
    const touched = await s.apply(again)
    assertEquals(touched, { added: ['optimized-films'], removed: [], paused: ['all'], resumed: ['optimized-films'] })
    assertEquals(await s.state(), { all: 'paused', 'optimized-films': '480000 films' })
  })

  it('what was paused by hand of what a schedule warms besides stays paused', async () => {
    const s = setup()
    await s.apply([change()])
    await s.scheduler.pause('optimized--all')
    await s.apply([change({ schedule: 'optimized-films', to: 8 * MINUTE })])
    const { all, 'optimized--all': rest } = await s.state()
    assertEquals([all, rest], ['paused', 'paused'])
  })

  it('gives tasks that were declared since to what the paused schedule warms besides', async () => {
    const s = setup()
    await s.apply([change()])
    const fresh = load({ key: 'fresh:{id}', load: () => new Map() })
    const more = configWith({ all: { cron: '0 * * * *', jitter: '5s', priority: 7 } }, { ...tasks, fresh } as never)
    const other = instanceOn(s.shared, more)
    const restOn = async ({ scheduler }: typeof other) =>
      (await scheduler.list()).find(({ name }) => name === 'optimized--all')?.spec.tasks
    assertEquals(await restOn(other), ['users', 'rates', 'fresh'])
    await other.scheduler.start()
    await other.clock.advance(61 * MINUTE)
    const ran = other.warmer.jobs.map(({ request }) => request).filter(({ schedule }) => schedule === 'optimized--all')
    assertEquals([ran.length, ran[0]?.tasks], [1, ['users', 'rates', 'fresh']])
    await other.scheduler.stop()
    // And it does not fail for a task that is gone.
    const { rates: _, ...fewer } = tasks
    const less = instanceOn(s.shared, configWith({ all: { cron: '0 * * * *', jitter: '5s' } }, fewer as never))
    assertEquals(await restOn(less), ['users'])
  })

  it('registers a rest where a schedule whose tasks all had one of their own has another one now', async () => {
    const s = setup({ films: { cron: '0 * * * *', tasks: ['films'] } })
    await s.apply([change({ schedule: 'films' })])
    const more = configWith({ films: { cron: '0 * * * *', tasks: ['films', 'users'] } }, tasks as never)
    const other = instanceOn(s.shared, more)
    const touched = await applyChanges([], other.scheduler, more.tasks)
    assertEquals(touched, { added: ['optimized--films'], removed: [], paused: [], resumed: [] })
    const rest = (await other.scheduler.list()).find(({ name }) => name === 'optimized--films')
    assertEquals(rest?.spec.tasks, ['users'])
    assertEquals((await applyChanges([], other.scheduler, more.tasks)).added, [])
  })

  it('is made whole after a crash behind any of its steps', async () => {
    const whole = await (async () => {
      const s = setup()
      await s.apply([change()])
      return await s.state()
    })()
    for (let done = 1; done <= 2; done++) {
      const s = setup()
      let count = 0
      const dying = {
        ...failing(s.scheduler, 0, 'before'),
        add: (...args: Parameters<Schedules['add']>) => {
          if (++count > done) throw new Error('killed')
          return s.scheduler.add(...args)
        },
        pause: () => Promise.reject(new Error('killed')),
        remove: () => Promise.reject(new Error('killed')),
      }
      await assertRejects(() => s.apply([change()], dying))
      assertEquals((await s.state()).all, '0 * * * * all')
      await s.apply([])
      assertEquals(await s.state(), whole, `${done} done`)
    }
  })

  it('removes what was registered for a task that is gone', async () => {
    const s = setup()
    await s.apply([change()])
    const { films: _, ...fewer } = tasks
    const less = configWith({ all: { cron: '0 * * * *' } }, fewer as never)
    const touched = await applyChanges([], instanceOn(s.shared, less).scheduler, less.tasks)
    assertEquals(touched, { added: [], removed: ['optimized-films'], paused: [], resumed: [] })
  })

  it('does not take the name of a schedule of the user’s', async () => {
    const s = setup()
    await s.scheduler.add('optimized-films', everyMinute())
    const before = await s.state()
    const error = await assertRejects(() => s.apply([change()]), PrewarmError)
    assertEquals([error.code, await s.state()], ['CONFLICT', before])
  })

  it('takes back what it did if a step fails, wherever that is', async () => {
    for (const when of ['before', 'after'] as const) {
      for (let at = 1; at <= 3; at++) {
        const s = setup()
        const before = await s.state()
        const error = await assertRejects(() => s.apply([change()], failing(s.scheduler, at, when)), PrewarmError)
        assertEquals([error.code, await s.state()], ['STORE_UNREACHABLE', before], `${when} ${at}`)
        // And what was replaced is there again.
        await s.apply([change()])
        const applied = await s.state()
        const again = [
          change({ schedule: 'optimized-films', to: 8 * MINUTE }),
          change({ task: 'users', schedule: 'optimized--all' }),
        ]
        await assertRejects(() => s.apply(again, failing(s.scheduler, at, when)), PrewarmError)
        assertEquals(await s.state(), applied, `${when} ${at}`)
      }
    }
  })

  it('says what it could not take back', async () => {
    const s = setup()
    const error = await assertRejects(
      () =>
        applyChanges(
          [change()],
          { ...failing(s.scheduler, 2, 'before'), remove: () => Promise.reject(new Error('no')) },
          s.config.tasks,
        ),
      PrewarmError,
    )
    assertStringIncludes(error.message, 'not taken back: added optimized--all, added optimized-films')
  })

  it('at no moment is a task without a schedule', async () => {
    const s = setup()
    const covered = async () => {
      const active = (await s.scheduler.list()).filter(({ paused }) => !paused)
      return ['films', 'users', 'rates'].every((task) => active.some(({ spec }) => spec.tasks?.includes(task) ?? true))
    }
    const watched: Schedules = {
      ...failing(s.scheduler, 0, 'before'),
      list: () => s.scheduler.list(),
    }
    for (const name of ['add', 'remove', 'pause', 'resume'] as const) {
      const run = watched[name] as (...args: never[]) => Promise<unknown>
      Object.assign(watched, {
        [name]: async (...args: never[]) => {
          const result = await run(...args)
          assert(await covered(), name)
          return result
        },
      })
    }
    await s.apply([change()], watched)
    await s.apply(
      [change({ task: 'users', schedule: 'optimized--all' }), change({ task: 'rates', schedule: 'optimized--all' })],
      watched,
    )
    await revertChanges(watched)
  })
})

describe('a schedule that is registered under a name that is taken', () => {
  it('replaces the one that was registered, if that is wanted, and keeps its pause', async () => {
    const s = setup()
    await s.scheduler.add('mine', everyMinute())
    await s.scheduler.pause('mine')
    const code = async (name: string, options?: { replace: boolean }) => {
      const spec = { intervalMs: 1000, tasks: ['users'], ttlMs: 5000 }
      const error = await s.scheduler.add(name, spec, options).then(
        () => null,
        (error) => error,
      )
      return (error as PrewarmError | null)?.code ?? null
    }
    assertEquals(
      [await code('mine'), await code('all'), await code('all', { replace: true })],
      Array(3).fill('CONFLICT'),
    )
    assertEquals(await code('mine', { replace: true }), null)
    const view = (await s.scheduler.list()).find(({ name }) => name === 'mine')
    assertEquals([view?.paused, view?.spec.intervalMs, view?.spec.ttlMs], [true, 1000, 5000])
  })

  it('is checked, its TTL and what it replaces, too', async () => {
    const s = setup()
    for (const [field, wrong] of [
      ['ttlMs', 0],
      ['ttlMs', 1e12],
      ['replaces', 'a b'],
    ] as const) {
      const error = await assertRejects(() => s.scheduler.add('mine', everyMinute({ [field]: wrong })), PrewarmError)
      assertEquals([error.code, error.message.startsWith(`${field} is `)], ['REQUEST_INVALID', true])
    }
  })
})

describe('revertChanges', () => {
  it('leaves everything as it was', async () => {
    const s = setup()
    await s.scheduler.add('mine', everyMinute())
    const before = await s.state()
    await s.apply([change()])
    await s.apply([change({ task: 'users', schedule: 'optimized--all' })])
    const touched = await revertChanges(s.scheduler)
    assertEquals(touched.resumed, ['all'])
    assertEquals(touched.removed, ['optimized--all', 'optimized-films', 'optimized-users'])
    assertEquals(await s.state(), before)
    assertEquals(await revertChanges(s.scheduler), { added: [], removed: [], paused: [], resumed: [] })
  })

  it('lets nothing go on that was paused by hand', async () => {
    const s = setup({ all: { cron: '0 * * * *', tasks: ['films'] }, users: { cron: '0 * * * *', tasks: ['users'] } })
    await s.scheduler.pause('users')
    await s.apply([change()])
    await revertChanges(s.scheduler)
    assertEquals(await s.state(), { all: '0 * * * * films', users: 'paused' })
  })

  it('is not disturbed by a schedule that is gone, or goes on already', async () => {
    const s = setup()
    await s.scheduler.add('mine', everyMinute())
    await s.apply([change({ schedule: 'mine' })])
    await s.scheduler.remove('mine')
    await s.apply([change({ task: 'users' })])
    await s.scheduler.resume('all')
    const touched = await revertChanges(s.scheduler)
    assertEquals([touched.resumed, Object.keys(await s.state())], [[], ['all']])
  })

  it('takes back what it did if a step fails', async () => {
    for (let at = 1; at <= 3; at++) {
      const s = setup()
      await s.apply([change()])
      const applied = await s.state()
      await assertRejects(() => revertChanges(failing(s.scheduler, at, 'before')), PrewarmError)
      assertEquals(await s.state(), applied, String(at))
    }
  })
})

describe('which schedules warm a task', () => {
  it('are those that run, and not those that another runs instead of', async () => {
    const s = setup()
    const of = async () => {
      const byTask = schedulesByTask(await s.scheduler.list(), s.config.tasks)
      return Object.fromEntries([...byTask].map(([task, views]) => [task, views.map(({ name }) => name).join()]))
    }
    assertEquals(await of(), { films: 'all', users: 'all', rates: 'all' })
    await s.apply([change()])
    assertEquals(await of(), { films: 'optimized-films', users: 'optimized--all', rates: 'optimized--all' })
    // As after a crash between two steps.
    await s.scheduler.resume('all')
    assertEquals((await of()).films, 'optimized-films')
    await s.scheduler.pause('optimized-films')
    await s.scheduler.pause('all')
    assertEquals((await of()).films, undefined)
  })

  it('have names that fit', () => {
    const long = 'a'.repeat(100)
    assertEquals([optimizedName('films'), restName('all')], ['optimized-films', 'optimized--all'])
    assertEquals(new Set([optimizedName(long), optimizedName(`${long}b`), restName(long)]).size, 3)
    for (const name of [optimizedName(long), restName(long)]) assert(/^[\w-]{1,64}$/.test(name))
  })
})
