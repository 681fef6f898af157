// Runs a program of this repository on the pinned Node, installing the packages first where they are missing.
//
//   node scripts/run.mjs <arguments for node>
//
// This file itself runs on whatever Node the machine has (any maintained version), hence plain JavaScript without
// dependencies. All it says goes to standard error: standard output belongs to the program that is run.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const stamp = join(root, 'node_modules', '.bailiwick-lock')
const pinned = join(root, 'node_modules', '.bin', 'node')

install()
run(pinnedNode(), process.argv.slice(2))

/** `npm ci`, unless what is installed is what package-lock.json asks for. */
function install() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  process.stderr.write('Installing packages (npm ci) …\n')
  const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (done.status !== 0) {
    process.stderr.write('npm ci failed (its own words are above). Mend that and run the command again.\n')
    process.exit(done.status ?? 1)
  }
  writeFileSync(stamp, wanted)
}

/** The Node that package.json pins; this process's own where it is new enough and the pinned one is not there. */
function pinnedNode() {
  if (existsSync(pinned)) return pinned
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 24 || (major === 24 && minor >= 14)) return process.execPath
  process.stderr.write(
    `The pinned Node is missing (are install scripts switched off?) and this is Node ${process.versions.node}.\n` +
      'Remedy: allow the install script of the package "node" and run "npm ci", or use Node 24.14 or newer.\n',
  )
  return process.exit(1)
}

/** Runs it, passes signals on, and ends as it ended. */
function run(node, args) {
  const child = spawn(node, args, { cwd: root, stdio: 'inherit' })
  // Ctrl-C reaches the whole process group, so the child has it already: only wait for it. SIGTERM reaches us alone.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('error', (error) => {
    process.stderr.write(`${node} cannot be started: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143)
  })
}
