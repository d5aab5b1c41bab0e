/** Real traffic replayed: how much of the next window's requests did each predictor's keys cover? */
import { resolve } from 'node:path'
import process from 'node:process'
import { simulate } from './command.ts'

const shared = process.env.PREWARM_SHARED_DATA ?? resolve(import.meta.dirname, '../../../shared/data')
process.exitCode = await simulate(process.argv.slice(2), shared, {
  out: (text) => process.stdout.write(text),
  say: (line) => process.stderr.write(`${line}\n`),
})
