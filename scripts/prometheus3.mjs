// Builds a Prometheus 3 and its promtool into .cache/prometheus3/, for the judges of the rewriting and for promtool's
// bearer file: npm run prometheus3. Needs Go and some ten minutes, once; nothing else in this repository needs it.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

// Prometheus 3.x.y is the Go module's v0.3xx.y.
const version = 'v0.314.0'
const programs = ['prometheus', 'promtool']
const target = join(dirname(fileURLToPath(import.meta.url)), '..', '.cache', 'prometheus3')

if (spawnSync('go', ['version'], { stdio: 'ignore' }).status !== 0) {
  process.stderr.write('Go is not on the PATH. Install it, or name a Prometheus 3 with PROMETHEUS_3=path.\n')
  process.exit(1)
}
mkdirSync(target, { recursive: true })
const work = mkdtempSync(join(tmpdir(), 'bailiwick-prometheus3-'))
try {
  go('mod', 'init', 'build')
  go('get', ...programs.map((name) => `github.com/prometheus/prometheus/cmd/${name}@${version}`))
  for (const name of programs.filter((one) => !existsSync(join(target, one)))) {
    process.stderr.write(`Building ${name} ${version} …\n`)
    go('build', '-o', join(target, name), `github.com/prometheus/prometheus/cmd/${name}`)
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
process.stderr.write(`${programs.map((name) => join(target, name)).join('\n')}\n`)

/** @param {string[]} args */
function go(...args) {
  const done = spawnSync('go', args, { cwd: work, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' })
  if (done.status === 0) return
  process.stderr.write(`go ${args.join(' ')} failed:\n${done.stderr}\n`)
  process.exit(1)
}
