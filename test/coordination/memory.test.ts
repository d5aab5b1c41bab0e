import { MemoryJobLog } from '../../src/coordination/memory-job-log.ts'
import { MemoryScheduleStore } from '../../src/coordination/memory-schedule-store.ts'
import { jobLogContract } from '../contract/job-log.contract.ts'
import { scheduleStoreContract } from '../contract/schedule-store.contract.ts'
import { FakeJobLog } from '../fakes/job-log.ts'
import { FakeScheduleStore } from '../fakes/schedule-store.ts'

const cleanUp = async () => {}

jobLogContract('MemoryJobLog', async () => ({ log: new MemoryJobLog(), cleanUp }))
jobLogContract('FakeJobLog', async () => ({ log: new FakeJobLog(), cleanUp }))
scheduleStoreContract('MemoryScheduleStore', async () => ({ store: new MemoryScheduleStore(), cleanUp }))
scheduleStoreContract('FakeScheduleStore', async () => ({ store: new FakeScheduleStore(), cleanUp }))
