// Runs every benchmark: npm run bench, or only some: npm run bench -- gateway audit
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'

const wanted = process.argv.slice(2)
const files = readdirSync('bench').filter((file) => file.endsWith('.ts'))
const known = files.map((file) => file.slice(0, -'.ts'.length))
const unknown = wanted.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`There is no benchmark ${unknown.join(', ')}; there are ${known.join(', ')}.\n`)
  process.exit(2)
}
for (const name of known.filter((one) => wanted.length === 0 || wanted.includes(one))) {
  process.stdout.write(`\n${name}\n`)
  const done = spawnSync(process.execPath, [`bench/${name}.ts`], { stdio: 'inherit' })
  if (done.status !== 0) process.exitCode = 1
}
