// The image is not built here: what its recipe says is held against the repository.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { commands, runCommand } from '../../../src/cli/cli.ts'
import { readGiven } from '../../../src/cli/command.ts'

const root = resolve(import.meta.dirname, '../../..')
const textOf = (file: string): string => readFileSync(join(root, file), 'utf8')
const jsonOf = (file: string) => Object(JSON.parse(textOf(file)))

interface Instruction {
  readonly word: string
  readonly rest: string
}
const instructions: readonly Instruction[] = textOf('Dockerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => ({ word: line.split(' ', 1)[0] ?? '', rest: line.slice(line.indexOf(' ') + 1).trim() }))

const starts = instructions.flatMap(({ word }, index) => (word === 'FROM' ? [index] : []))
const first = instructions.slice(starts[0], starts[1])
const last = instructions.slice(starts.at(-1))
const all = (stage: readonly Instruction[], word: string): readonly string[] =>
  stage.filter((one) => one.word === word).map(({ rest }) => rest)
function only(stage: readonly Instruction[], word: string): string {
  const [rest = '', ...more] = all(stage, word)
  assert.ok(rest !== '' && more.length === 0, `one ${word}, not ${all(stage, word).length}`)
  return rest
}
/** The words of an instruction in JSON form, which starts a program without a shell. */
function wordsOf(json: string): readonly string[] {
  const words: unknown = JSON.parse(json)
  assert.ok(Array.isArray(words))
  return words.map(String)
}
/** Sources and target of each COPY from the repository. */
const copies = instructions
  .filter(({ word, rest }) => word === 'COPY' && !rest.startsWith('--from='))
  .map(({ rest }) => ({ sources: rest.split(' ').slice(0, -1), target: rest.split(' ').at(-1) ?? '' }))

/** Does .dockerignore let this path of the top directory through? The last line that fits decides. */
function isKept(path: string): boolean {
  let kept = true
  for (const line of textOf('.dockerignore').split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const pattern = line.replace(/^!/, '')
    assert.match(pattern, /^(\*|[\w.-]+)$/, 'this test reads plain names and a lone * only')
    if (pattern === '*' || pattern === path) kept = line.startsWith('!')
  }
  return kept
}

describe('the image', () => {
  it('has two stages of one base, and the second takes only packages from the first', () => {
    assert.deepEqual(all(instructions, 'FROM'), ['${BASE} AS packages', '${BASE}'])
    assert.deepEqual(
      all(last, 'COPY').filter((rest) => rest.startsWith('--')),
      ['--from=packages /app/node_modules ./node_modules'],
    )
  })
  it('has a Node that the program runs on, and the tests', () => {
    const [, major] = /^BASE=node:(\d+)-/.exec(only(instructions, 'ARG')) ?? []
    const { engines, devDependencies } = jsonOf('package.json')
    assert.equal(major, /^>=(\d+)\./.exec(engines.node)?.[1])
    assert.equal(major, /^(\d+)\./.exec(devDependencies.node)?.[1])
  })
  it('installs what the lock says, no development packages, and runs no install script', () => {
    const [command, ...more] = all(first, 'RUN')
    assert.deepEqual(more, [])
    assert.deepEqual(command?.split(' ').toSorted(), [
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--omit=dev',
      'ci',
      'npm',
    ])
  })
  it('misses nothing by that: no production package has an install script', () => {
    const packages: [string, Record<string, unknown>][] = Object.entries(jsonOf('package-lock.json').packages)
    assert.ok(packages.length > 100)
    const scripted = packages.filter(([, one]) => one['hasInstallScript'] === true && one['dev'] !== true)
    assert.deepEqual(scripted, [])
  })
  it('misses no package that the program imports', () => {
    const { dependencies: needed, optionalDependencies: optional } = jsonOf('package.json')
    const dependencies = { ...needed, ...optional }
    const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    )
    const imported = files.flatMap((file) =>
      [...textOf(join('src', file)).matchAll(/\bfrom '([^'.][^']*)'/g)].map(([, name = '']) => name),
    )
    assert.ok(imported.includes('express'))
    for (const name of new Set(imported)) {
      const [packageName = ''] = /^(@[^/]+\/)?[^/]+/.exec(name) ?? []
      assert.ok(name.startsWith('node:') || Object.hasOwn(dependencies, packageName), `${name} is no dependency`)
    }
  })
  it('has nothing that installs packages in the end', () => {
    const [removal, ...more] = all(last, 'RUN')
    assert.deepEqual(more, [])
    for (const path of [
      '/usr/local/lib/node_modules',
      ...['npm', 'npx', 'corepack'].map((name) => `/usr/local/bin/${name}`),
    ]) {
      assert.ok(removal?.split(/ && /)[0]?.startsWith('rm -rf ') && removal.includes(` ${path} `), path)
    }
  })
  it('copies what is there and what .dockerignore lets through, and nothing else is let through', () => {
    const sources = copies.flatMap((copy) => copy.sources)
    for (const source of sources) {
      assert.ok(existsSync(join(root, source)), `${source} is not there`)
      assert.ok(isKept(source), `${source} is kept out`)
    }
    const kept = readdirSync(root).filter(isKept)
    assert.deepEqual(kept.toSorted(), [...new Set(sources)].toSorted())
    for (const name of ['.git', '.env', 'node_modules', 'test', 'demo']) assert.ok(!isKept(name), name)
  })
  it('runs as a user with a number, not root, who owns nothing but the audit directory', () => {
    const [, uid, gid] = /^(\d+):(\d+)$/.exec(only(last, 'USER')) ?? []
    assert.ok(Number(uid) > 0 && Number(gid) > 0)
    assert.ok(only(last, 'RUN').includes(`install -d -o ${uid} -g ${gid} -m 0700 ${only(last, 'VOLUME')}`))
    assert.ok(all(last, 'COPY').every((rest) => !rest.includes('--chown') && !rest.includes('--chmod')))
    const user = last.findIndex(({ word }) => word === 'USER')
    const rootsWork = last.flatMap(({ word }, index) => (['RUN', 'COPY'].includes(word) ? [index] : []))
    assert.ok(rootsWork.every((index) => index < user))
  })
  it("has the chart's audit directory as its volume, and its ports", () => {
    const { config } = parse(textOf('helm/bailiwick/values.yaml'))
    assert.equal(only(last, 'VOLUME'), config.audit.directory)
    assert.equal(only(last, 'EXPOSE'), [config.listen, config.admin].map((one) => one.split(':')[1]).join(' '))
  })
  it('starts a file that was copied', () => {
    const workdir = only(last, 'WORKDIR')
    const [program, file = '', ...more] = wordsOf(only(last, 'ENTRYPOINT'))
    assert.deepEqual({ program, more }, { program: 'node', more: [] })
    const copied = copies.find(({ target }) => file.startsWith(`${join(workdir, target)}/`))
    assert.equal(dirname(file), join(workdir, copied?.sources[0] ?? '?'))
    assert.ok(existsSync(join(root, file.slice(workdir.length))))
    assert.equal(resolve(root, `.${file.slice(workdir.length)}`), resolve(root, jsonOf('package.json').bin.bailiwick))
  })
  it('starts it with a command and options that it knows', async () => {
    const [name = '', ...args] = wordsOf(only(last, 'CMD'))
    const command = commands[name]
    assert.ok(command !== undefined && name === 'serve')
    const given = readGiven(args, command)
    assert.ok(given.ok)
    assert.equal(given.value.option('config'), '/etc/bailiwick/bailiwick.yaml')
    const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-image-'))
    let err = ''
    const terminal = { out: assert.fail, err: (text: string) => void (err += text), lines: assert.fail }
    const code = await runCommand([name, ...args.slice(0, -1), join(scratch, 'absent.yaml')], terminal)
    rmSync(scratch, { recursive: true })
    assert.equal(code, 1)
    assert.match(err, /absent\.yaml': check --config\n$/)
  })
})
