import { parentPort } from '../../src/runtime/common.ts'

const port = parentPort()
port.onMessage((message) => {
  if (message === 'throw') throw new Error('thrown on purpose')
  port.post(message)
})
