#!/usr/bin/env bun
import process from 'node:process'
import { main } from './program.ts'

// Explicit, because an idle connection or a worker of the user's would keep the program open.
process.exit(await main(process.argv.slice(2)))
