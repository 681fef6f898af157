import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { buildOnce } from './build-once.ts'
import { run } from './command.ts'

/** Takes one line of progress for the person who waits. */
export type Tell = (line: string) => void

/** Two programs that were seen to run; `version` is Prometheus's own, such as `2.42.0+ds`. */
export interface PrometheusBinary {
  readonly prometheus: string
  readonly promtool: string
  readonly version: string
}

const remedy = [
  'How to get it, any of these:',
  '  - Debian or Ubuntu: sudo apt-get install prometheus (then stop its service if you do not want it running)',
  '  - any system: unpack a release from https://prometheus.io/download/ and put prometheus and promtool on the PATH',
].join('\n')

/**
 * Finds `prometheus` and `promtool`: on the PATH, else in the cache, else from Debian's package, unpacked into the cache
 * as this user. Nothing is installed and no service is started.
 * @param options.cacheDir where `prometheus/` is kept between runs
 * @throws Error that says how to get Prometheus, when none of the three gives programs that run
 */
export async function findPrometheus(options: { cacheDir: string; tell: Tell }): Promise<PrometheusBinary> {
  const onPath = await check('prometheus', 'promtool')
  if (onPath !== null) return onPath
  const kept = resolve(options.cacheDir, 'prometheus')
  try {
    await buildOnce(kept, (directory) => unpackDebian(directory, options.tell))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`Prometheus is not on the PATH and could not be downloaded.\n${reason}\n${remedy}`, {
      cause: error,
    })
  }
  const cached = await check(join(kept, 'usr/bin/prometheus'), join(kept, 'usr/bin/promtool'))
  if (cached !== null) return cached
  throw new Error(`The Prometheus in ${kept} does not run here. Delete that directory and try again.\n${remedy}`)
}

async function check(prometheus: string, promtool: string): Promise<PrometheusBinary | null> {
  const [server, tool] = await Promise.all([
    run(prometheus, ['--version'], { seconds: 30 }),
    run(promtool, ['--version'], { seconds: 30 }),
  ])
  if (server.code !== 0 || tool.code !== 0) return null
  // "prometheus, version 2.42.0+ds (branch: …": older releases print it on stderr
  const version = /^prometheus, version (\S+)/m.exec(`${server.stdout}\n${server.stderr}`)?.[1]
  return version === undefined ? null : { prometheus, promtool, version }
}

async function unpackDebian(directory: string, tell: Tell): Promise<void> {
  const work = await mkdtemp(`${directory}-apt-`)
  try {
    tell('Prometheus is not on the PATH: downloading the Debian package (once, about 30 MB, nothing is installed)')
    const archive = await download(work, tell)
    const unpacked = await run('dpkg-deb', ['-x', archive, join(work, 'tree')], { seconds: 120 })
    if (unpacked.code !== 0) throw new Error(`dpkg-deb could not unpack it: ${lastLines(unpacked.stderr)}`)
    await rename(join(work, 'tree/usr'), join(directory, 'usr'))
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Downloads the package into `work`: with this machine's package lists, and where they are empty or old, with own ones. */
async function download(work: string, tell: Tell): Promise<string> {
  const apt = (words: readonly string[], seconds: number) => run('apt-get', words, { cwd: work, seconds })
  // As root apt would drop to a user who cannot write here; for everyone else the option changes nothing.
  const asUs = ['-q', '-o', 'APT::Sandbox::User=root']
  const direct = await apt([...asUs, 'download', 'prometheus'], 300)
  if (direct.code === 0) return archiveIn(work)

  tell('the package lists of this machine do not help: fetching private ones')
  const own = { state: join(work, 'state'), cache: join(work, 'cache') }
  await mkdir(join(own.state, 'lists/partial'), { recursive: true })
  await mkdir(join(own.cache, 'archives/partial'), { recursive: true })
  const places = [`State=${own.state}`, `State::lists=${own.state}/lists`, `Cache=${own.cache}`]
  const aside = [...places, 'State::status=/var/lib/dpkg/status'].flatMap((place) => ['-o', `Dir::${place}`])
  // One unreachable source, or a hook that needs root, fails the update as a whole; the download then tells whether it matters.
  const updated = await apt([...asUs, ...aside, 'update'], 300)
  const downloaded = await apt([...asUs, ...aside, 'download', 'prometheus'], 300)
  if (downloaded.code === 0) return archiveIn(work)
  throw new Error(`apt-get says: ${lastLines(`${updated.stderr}\n${downloaded.stderr}`)}`)
}

async function archiveIn(directory: string): Promise<string> {
  const name = (await readdir(directory)).find((entry) => /^prometheus_.*\.deb$/.test(entry))
  if (name === undefined) throw new Error('apt-get reported success but left no package')
  return join(directory, name)
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join('\n')
}
