import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { findPrometheus } from '../../../demo/parts/prometheus-binary.ts'

describe('finding Prometheus', () => {
  const path = process.env['PATH']
  let scratch: string
  let bin: string
  let cacheDir: string
  let told: string[]
  /** Puts a program into a directory; `body` is a shell script that needs nothing from the PATH. */
  const program = async (file: string, body: string): Promise<void> => {
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 })
  }
  const pair = async (directory: string, version: string): Promise<void> => {
    await program(join(directory, 'prometheus'), `echo "prometheus, version ${version} (branch: HEAD)"`)
    await program(join(directory, 'promtool'), `echo "promtool, version ${version} (branch: HEAD)"`)
  }
  /** A `dpkg-deb` that makes the tree where the third argument says, and then goes on with `then`. */
  const unpacker = (then: string) =>
    program(
      join(bin, 'dpkg-deb'),
      `/bin/mkdir -p "$3/usr/bin"
for name in prometheus promtool; do
  echo '#!/bin/sh' > "$3/usr/bin/$name"
  echo 'echo "prometheus, version 2.5.0 (branch: x)"' >> "$3/usr/bin/$name"
  /bin/chmod +x "$3/usr/bin/$name"
done
${then}`,
    )
  const find = () => findPrometheus({ cacheDir, tell: (line) => told.push(line) })

  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-binary-'))
    bin = join(scratch, 'bin')
    cacheDir = join(scratch, 'cache')
    told = []
    await mkdir(bin)
    process.env['PATH'] = bin
  })
  afterEach(async () => {
    process.env['PATH'] = path
    await rm(scratch, { recursive: true, force: true })
  })

  it('takes the PATH first, and leaves the cache alone', async () => {
    await pair(bin, '3.1.0')
    await pair(join(cacheDir, 'prometheus/usr/bin'), '2.0.0')
    assert.deepEqual(await find(), { prometheus: 'prometheus', promtool: 'promtool', version: '3.1.0' })
    assert.deepEqual(told, [])
  })
  it('understands an old release, which tells its version on stderr', async () => {
    await pair(bin, '2.1.0')
    await program(join(bin, 'prometheus'), 'echo "prometheus, version 2.1.0+ds (branch: HEAD)" >&2')
    assert.equal((await find()).version, '2.1.0+ds')
  })
  it('takes the cache when the PATH has none, without a word', async () => {
    const kept = join(cacheDir, 'prometheus/usr/bin')
    await pair(kept, '2.42.0+ds')
    const found = { prometheus: join(kept, 'prometheus'), promtool: join(kept, 'promtool'), version: '2.42.0+ds' }
    assert.deepEqual(await find(), found)
    assert.deepEqual(told, [])
  })
  for (const [what, body] of [
    ['fails', 'exit 1'],
    ['is another program', 'echo "something else"'],
  ] as const) {
    it(`takes the cache when the one on the PATH ${what}`, async () => {
      await pair(bin, '3.1.0')
      await program(join(bin, 'prometheus'), body)
      await pair(join(cacheDir, 'prometheus/usr/bin'), '2.0.0')
      assert.equal((await find()).version, '2.0.0')
    })
  }
  it('takes the cache when the PATH has no promtool', async () => {
    await pair(bin, '3.1.0')
    await rm(join(bin, 'promtool'))
    await pair(join(cacheDir, 'prometheus/usr/bin'), '2.0.0')
    assert.equal((await find()).version, '2.0.0')
  })
  it('tells how to get it when there is no apt either, and leaves nothing in the cache', async () => {
    await assert.rejects(find(), (error) => {
      assert.ok(error instanceof Error)
      assert.match(error.message, /^Prometheus is not on the PATH and could not be downloaded\.\napt-get says: /)
      assert.match(error.message, /apt-get install prometheus/)
      assert.match(error.message, /https:\/\/prometheus\.io\/download\//)
      return true
    })
    assert.deepEqual(await readdir(cacheDir), [])
  })
  it('says which directory to delete when what the cache holds does not run', async () => {
    const kept = join(cacheDir, 'prometheus')
    await pair(join(kept, 'usr/bin'), '2.0.0')
    await program(join(kept, 'usr/bin/prometheus'), 'exit 126')
    await assert.rejects(find(), (error) => {
      assert.ok(error instanceof Error)
      assert.ok(error.message.startsWith(`The Prometheus in ${kept} does not run here. Delete that directory`))
      return true
    })
  })
  it('does not take an unfinished unpack for a finished one', async () => {
    await pair(join(cacheDir, 'prometheus.part-abc123/usr/bin'), '2.0.0')
    await assert.rejects(find(), /could not be downloaded/)
  })

  describe('in the package of a Debian', () => {
    it('happens once, into the cache, and says so', async () => {
      await program(join(bin, 'apt-get'), ': > prometheus_2.5.0_amd64.deb')
      await unpacker('exit 0')
      assert.equal((await find()).version, '2.5.0')
      assert.match(told.join('\n'), /^Prometheus is not on the PATH: downloading[^\n]*nothing is installed\)$/)
      assert.deepEqual(await readdir(cacheDir), ['prometheus'])
      await program(join(bin, 'apt-get'), 'exit 1')
      assert.equal((await find()).prometheus, join(cacheDir, 'prometheus/usr/bin/prometheus'))
      assert.equal(told.length, 1)
    })
    it('that breaks off leaves nothing, and works the next time', async () => {
      await program(join(bin, 'apt-get'), ': > prometheus_2.5.0_amd64.deb')
      await unpacker('echo "no space left" >&2; exit 2')
      await assert.rejects(find(), /dpkg-deb could not unpack it: no space left\nHow to get it/)
      assert.deepEqual(await readdir(cacheDir), [])
      await unpacker('exit 0')
      assert.equal((await find()).version, '2.5.0')
    })
    it('fetches package lists of its own when those of the machine do not help, even if one source fails', async () => {
      await program(
        join(bin, 'apt-get'),
        `case "$*" in
  *Dir::State=*" update") exit 100 ;;
  *Dir::State=*" download prometheus") : > prometheus_2.5.0_amd64.deb ;;
  *) exit 100 ;;
esac`,
      )
      await unpacker('exit 0')
      assert.equal((await find()).version, '2.5.0')
      assert.equal(told.length, 2)
    })
    it('shows the last words of apt-get when nothing helps', async () => {
      await program(join(bin, 'apt-get'), 'echo "E: Unable to locate package prometheus" >&2; exit 100')
      await assert.rejects(find(), /apt-get says: [^]*E: Unable to locate package prometheus\nHow to get it/)
      assert.deepEqual(await readdir(cacheDir), [])
    })
  })
})
