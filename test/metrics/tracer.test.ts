import { afterEach, beforeEach, describe, it } from 'node:test'
import { SpanStatusCode, trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { assert, assertEquals } from '@std/assert'
import { EventLog } from '../../src/events/event-log.ts'
import { traceJobs } from '../../src/metrics/tracer.ts'
import { FakeClock } from '../fakes/clock.ts'
import { batch, begin, end, TRACE } from './support.ts'

const START_MS = 1_700_000_000_000
const ms = ([seconds, nanos]: [number, number]) => seconds * 1000 + nanos / 1e6 - START_MS

describe('traceJobs', () => {
  let clock: FakeClock
  let events: EventLog
  let exporter: InMemorySpanExporter
  let stop: () => void
  const errors: unknown[] = []

  beforeEach(() => {
    errors.length = 0
    clock = new FakeClock(START_MS)
    events = new EventLog({ clock, onError: (error) => errors.push(error) })
    exporter = new InMemorySpanExporter()
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
    stop = traceJobs({ events, clock })
  })
  afterEach(() => {
    stop()
    trace.disable() // the provider is the whole process's
    assertEquals(errors, [])
  })

  const named = (name: string) => exporter.getFinishedSpans().filter((span) => span.name === name)

  it('makes a span of a job below its caller’s, and of each batch below the job’s', async () => {
    begin(events, { parent_span_id: 'b7ad6b7169203331', schedule: 'nightly', source: 'schedule' })
    await clock.advance(100)
    batch(events, { written: 10 })
    await clock.advance(50)
    end(events, { written: 10 })
    const [job] = named('prewarm.job')
    const [child] = named('prewarm.batch')
    assert(job !== undefined && child !== undefined)
    assertEquals(job.spanContext().traceId, TRACE)
    assertEquals([job.parentSpanContext?.spanId, job.parentSpanContext?.isRemote], ['b7ad6b7169203331', true])
    assertEquals([ms(job.startTime), ms(job.endTime)], [0, 150])
    assertEquals(job.attributes['prewarm.job_id'], 'job')
    assertEquals(job.attributes['prewarm.source'], 'schedule')
    assertEquals(job.attributes['prewarm.strategy'], 'priority')
    assertEquals(job.attributes['prewarm.tasks'], ['films'])
    assertEquals(job.attributes['prewarm.schedule'], 'nightly')
    assertEquals(job.attributes['prewarm.keys.written'], 10)
    assertEquals(job.status.code, SpanStatusCode.UNSET)
    assertEquals(child.spanContext().traceId, TRACE)
    assertEquals(child.parentSpanContext?.spanId, job.spanContext().spanId)
    assertEquals([ms(child.startTime), ms(child.endTime)], [60, 100])
    assertEquals([child.attributes['prewarm.task'], child.attributes['prewarm.origin_requests']], ['films', 1])
  })

  it('keeps the trace id of a job that nobody called', () => {
    begin(events)
    end(events, {})
    begin(events, { job_id: 'zeros', trace_id: 'a'.repeat(16) + '0'.repeat(16) })
    end(events, {}, { job_id: 'zeros' })
    const [first, second] = named('prewarm.job')
    assertEquals([first?.spanContext().traceId, first?.parentSpanContext?.spanId], [TRACE, '8448eb211c80319c'])
    assertEquals(second?.parentSpanContext?.spanId, 'a'.repeat(16))
    assertEquals(second?.spanContext().traceId, 'a'.repeat(16) + '0'.repeat(16))
  })

  it('marks what failed', () => {
    begin(events)
    batch(events, {}, { status: 'lost' })
    end(events, { written: 1, failed: 2, unknown: 1 }, { status: 'partial' })
    const [job] = named('prewarm.job')
    assertEquals(job?.status, { code: SpanStatusCode.ERROR, message: 'partial: 2 of 4 keys failed, 1 unknown' })
    assertEquals(named('prewarm.batch')[0]?.status, { code: SpanStatusCode.ERROR, message: 'the batch is lost' })
  })

  it('holds 1000 open jobs at most, and ends what is open when it is stopped', () => {
    for (let n = 0; n < 1002; n++) begin(events, { job_id: `j${n}` })
    const early = named('prewarm.job')
    assertEquals(
      early.map((span) => span.attributes['prewarm.job_id']),
      ['j0', 'j1'],
    )
    batch(events, {}, { job_id: 'j0' })
    end(events, {}, { job_id: 'j0' })
    assertEquals(exporter.getFinishedSpans().length, 2)
    stop()
    assertEquals(named('prewarm.job').length, 1002)
    assert(named('prewarm.job').every((span) => span.attributes['prewarm.abandoned'] === true))
    begin(events)
    end(events, {})
    assertEquals(named('prewarm.job').length, 1002)
  })

  it('does nothing where the program has no tracer provider', () => {
    stop()
    trace.disable()
    stop = traceJobs({ events, clock })
    begin(events)
    batch(events, { written: 1 })
    end(events, { written: 1 })
    assertEquals(exporter.getFinishedSpans(), [])
  })
})
