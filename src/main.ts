#!/usr/bin/env node
import { createInterface } from 'node:readline'
import { runCommand } from './cli/cli.ts'

// Whoever reads our output may stop early (`| head`): there is nobody left to tell, so end quietly.
process.stdout.on('error', (error) => {
  if ('code' in error && error.code === 'EPIPE') process.exit(0)
  throw error
})

process.exitCode = await runCommand(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  lines: () => createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY }),
})
