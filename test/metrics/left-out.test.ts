import { it } from 'node:test'
import { assert, assertStringIncludes } from '@std/assert'
import { EventLog } from '../../src/events/event-log.ts'
import { createMetrics } from '../../src/metrics/prometheus.ts'
import { FakeClock } from '../fakes/clock.ts'
import { begin, end, idleStatus } from './support.ts'

it('keys that were left out are counted by task, from 0', async () => {
  const clock = new FakeClock()
  const events = new EventLog({ clock })
  const metrics = createMetrics({ events, status: () => idleStatus(), tasks: () => ['films', 'cars'], clock })
  try {
    begin(events)
    end(events, { written: 3 }, { status: 'partial', left_out: { films: 12, gone: 4 } })
    begin(events)
    end(events, { written: 3 }, { left_out: { films: 1 } })
    const { text } = await metrics.text()
    for (const [task, count] of [
      ['films', 13],
      ['cars', 0],
      ['other', 4],
    ])
      assertStringIncludes(text, `warming_keys_left_out_total{task="${task}"} ${count}`)
    assert(!text.includes('task="gone"'))
  } finally {
    metrics.close()
  }
})
