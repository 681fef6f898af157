// Everything that can be said about the sources without running them: types, lint, format, dead code, rooms.
import { spawnSync } from 'node:child_process'

/** @type {[name: string, command: string, args: string[]][]} */
const checks = [
  ['types', 'tsc', ['--noEmit']],
  ['lint', 'oxlint', ['--type-aware', '--deny-warnings']],
  ['format', 'oxfmt', ['--check', '.']],
  ['dead code', 'knip', []],
  ['rooms', 'node', ['--test', '--test-reporter=dot', 'test/house/rooms.test.ts']],
]

const failed = []
for (const [name, command, args] of checks) {
  const path = `node_modules/.bin:${process.env['PATH']}`
  const done = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, PATH: path } })
  const good = done.status === 0
  process.stdout.write(`${good ? 'ok    ' : 'FAILED'} ${name}\n`)
  if (good) continue
  failed.push(name)
  process.stdout.write(`${done.stdout ?? ''}${done.stderr ?? ''}${done.error?.message ?? ''}\n`)
}
if (failed.length > 0) process.stdout.write(`\n${failed.length} failed: ${failed.join(', ')}\n`)
process.exitCode = failed.length > 0 ? 1 : 0
