// A policy that changes while the gateway runs: what is read, when it takes the place of the other, and what is told.
import assert from 'node:assert/strict'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { announcing } from '../../src/app/announce.ts'
import { mergeLoaded } from '../../src/app/policy.ts'
import { readPolicy, readPolicyFiles } from '../../src/policy/files.ts'
import type { Disk, PolicyText } from '../../src/policy/files.ts'
import { digestOf } from '../../src/policy/policy.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { followPolicy } from '../../src/policy/reload.ts'
import type { FollowOptions, LivePolicy, RejectedPolicy } from '../../src/policy/reload.ts'
import { identityFor } from '../../src/policy/subjects.ts'
import { fail, ok } from '../../src/result.ts'
import type { Result } from '../../src/result.ts'

const model = readFileSync(new URL('../../policies/model.conf', import.meta.url), 'utf8')
const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-reload-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
const newDir = (): string => mkdtempSync(join(scratch, 'policy-'))

const ruleFor = (namespace: string): string => `p, group:a, *, query, namespace=${namespace}, allow\n`
type Read = Result<PolicyText, readonly string[]>

/** What a reading of these rules gives. */
function textOf(rules: string): PolicyText {
  const files = [
    { name: 'model.conf', text: model },
    { name: 'policy.csv', text: rules },
  ] as const
  return { model: files[0], rules: [files[1]], digest: digestOf(files) }
}
const reading = (rules: string): Read => ok(textOf(rules))
const seenBy = (policy: Policy): unknown => policy.decide(identityFor('group:a'), 'east', 'query').scope
const sees = (namespace: string) => ({
  kind: 'labels',
  alternatives: [{ label: 'namespace', allow: [namespace], deny: [] }],
})

describe('the files of a policy', () => {
  /** A disk on which each question is a step, and each step can find another state. Paths that end in `->` are links. */
  function diskOf(stateAt: (step: number) => Readonly<Record<string, string>>) {
    let step = 0
    const now = (name: string): string | undefined => {
      const state = stateAt(step)
      step += 1
      return state[name]
    }
    async function textOf(path: string): Promise<string> {
      const text = now(path)
      if (text === undefined) throw new Error(`ENOENT: ${path}`)
      return text
    }
    const disk: Disk = {
      readLink: async (path) => now(`${path} ->`) ?? null,
      mark: textOf,
      read: async (path) => (await textOf(path)).split(' at ')[0] ?? '',
    }
    return { disk, steps: () => step }
  }
  const options = { model: '/m', rules: ['/r'] }
  const files = { '/m': 'model 1', '/r': 'rules 1' }
  const readTexts = async (stateAt: (step: number) => Readonly<Record<string, string>>): Promise<string> => {
    const read = await readPolicyFiles(options, diskOf(stateAt).disk)
    return (read.ok ? [read.value.model, ...read.value.rules].map(({ text }) => text) : read.error).join()
  }
  const changes = fc.array(fc.nat(60), { maxLength: 12 })
  const before = (step: number, steps: readonly number[]): number => steps.filter((change) => change < step).length

  it('are read once where nothing happens to them', async () => {
    const { disk, steps } = diskOf(() => files)
    assert.ok((await readPolicyFiles(options, disk)).ok)
    assert.equal(steps(), 10)
  })
  it('are from one side of a link, whenever and however often it is switched to and fro', async () => {
    const sides = [1, 2].map((side) => ({
      '/m ->': 'data/m',
      '/r ->': 'data/r',
      '/data ->': `v${side}`,
      ...Object.fromEntries([1, 2].flatMap((n) => [[`/v${n}/m`, `model ${n}`] as const, [`/v${n}/r`, `rules ${n}`]])),
    }))
    await fc.assert(
      fc.asyncProperty(changes, async (switches) => {
        const texts = await readTexts((step) => sides[before(step, switches) % 2] ?? {})
        assert.ok(['model 1,rules 1', 'model 2,rules 2'].includes(texts), texts)
      }),
    )
  })
  it('are what they were together at one moment, whenever each of them is replaced', async () => {
    await fc.assert(
      fc.asyncProperty(changes, changes, async (ofModel, ofRules) => {
        const states = new Set<string>()
        const texts = await readTexts((step) => {
          const [model, rules] = [before(step, ofModel), before(step, ofRules)]
          states.add(`model ${model % 3},rules ${rules % 3}`)
          return { '/m': `model ${model % 3} at ${model}`, '/r': `rules ${rules % 3} at ${rules}` }
        })
        assert.ok(states.has(texts) || texts.includes('change all the time'), `${texts} of ${[...states].join('; ')}`)
      }),
    )
  })
  it('are read again where one was gone for a moment', async () => {
    for (const gone of [1, 3, 4, 5, 7, 9]) {
      assert.equal(await readTexts((step) => (step === gone ? {} : files)), 'model 1,rules 1', String(gone))
    }
  })
  it('that change with each look at them are no policy', async () => {
    const texts = await readTexts((step) => ({ ...files, '/m': `model at ${step}` }))
    assert.equal(texts, 'the policy cannot be read: its files change all the time: check policy.model and policy.rules')
  })
  it('that lead in a circle are no policy, and soon so', async () => {
    assert.match(await readTexts(() => ({ '/m ->': '/r', '/r ->': '/m' })), /^the policy cannot be read: ENOENT/)
  })
  it('have the digest of the policy that they become, and the names that records use', async () => {
    const dir = newDir()
    for (const part of ['one', 'two']) mkdirSync(join(dir, part))
    const rules = ['one/a.csv', 'two/a.csv', 'two/b.csv'].map((file) => join(dir, file))
    for (const file of rules) writeFileSync(file, ruleFor('one'))
    writeFileSync(join(dir, 'b.csv'), model)
    const files = { model: join(dir, 'b.csv'), rules }
    const read = await readPolicyFiles(files)
    const policy = await readPolicy({ ...files, profile: 'linkerd' }, () => 0)
    assert.ok(read.ok && policy.ok)
    assert.equal(read.value.digest, policy.value.digest)
    assert.equal(read.value.model.name, 'b.csv')
    assert.deepEqual(
      read.value.rules.map(({ name }) => name),
      [...rules.slice(0, 2), 'b.csv'],
    )
  })
  it('are files, and not endless', async () => {
    const dir = newDir()
    const file = join(dir, 'policy.csv')
    const problemOf = async (path: string): Promise<string> => {
      const read = await readPolicyFiles({ model: path, rules: [] })
      return read.ok ? '' : read.error.join()
    }
    assert.match(
      await problemOf(dir),
      /^the policy cannot be read: .* is not a file: check policy\.model and policy\.r/,
    )
    assert.match(await problemOf(file), /^the policy cannot be read: ENOENT/)
    writeFileSync(file, '')
    truncateSync(file, 64 * 1024 * 1024 + 1)
    assert.match(await problemOf(file), /^the policy cannot be read: .* is larger than 67108864 bytes/)
  })
})

interface Told {
  readonly is: 'loaded' | 'rejected' | 'unwatched'
  readonly policy: string
  readonly before: string
  readonly problems: readonly string[]
}

/** A policy that is followed; what a reading gives is up to the test. */
async function following(
  t: TestContext,
  options: Partial<FollowOptions> & { dir?: string; read?: () => Promise<Read> },
) {
  const { dir = newDir(), read, ...others } = options
  const first = await readPolicyOf(textOf(ruleFor('first')))
  const told: Told[] = []
  const live: LivePolicy = followPolicy({
    first,
    options: {
      model: join(dir, 'model.conf'),
      rules: [join(dir, 'policy.csv')],
      profile: 'linkerd',
      reload: 0,
      settle: 0,
      ...others,
    },
    clock: () => 0,
    reports: {
      async loaded(policy, replaced) {
        // In this very moment it decides already.
        assert.equal(live.current(), policy)
        told.push({ is: 'loaded', policy: policy.digest, before: replaced.digest, problems: [] })
      },
      async rejected(rejected: RejectedPolicy, inForce) {
        assert.equal(live.current(), inForce)
        told.push({
          is: 'rejected',
          policy: String(rejected.digest),
          before: inForce.digest,
          problems: rejected.problems,
        })
      },
      unwatched: (reason) => void told.push({ is: 'unwatched', policy: '', before: '', problems: [reason] }),
    },
    ...(read === undefined ? {} : { read }),
  })
  t.after(() => live.stop())
  return { live, told, first, dir }
}
async function readPolicyOf({ model, rules }: PolicyText): Promise<Policy> {
  const dir = newDir()
  for (const { name, text } of [model, ...rules]) writeFileSync(join(dir, name), text)
  const files = { model: join(dir, model.name), rules: rules.map(({ name }) => join(dir, name)) }
  const policy = await readPolicy({ ...files, profile: 'linkerd' }, () => 0)
  assert.ok(policy.ok, JSON.stringify(policy))
  return policy.value
}
/** Readings that come one after the other, the last one again and again. */
function inOrder(...readings: readonly Read[]): () => Promise<Read> {
  let at = 0
  return async () => {
    const read = readings[Math.min(at, readings.length - 1)]
    at += 1
    return read ?? fail([])
  }
}
const bad = 'p, group:a, *, query, namespace=one, alow\n'
const problem = 'policy.csv:1: the effect "alow" is neither allow nor deny'

describe('a policy that is followed', () => {
  it('stays the same value while its files stay the same', async (t) => {
    const { live, told, first } = await following(t, { read: inOrder(reading(ruleFor('first'))) })
    assert.deepEqual([await live.reload(), await live.reload()], ['unchanged', 'unchanged'])
    assert.equal(live.current(), first)
    assert.deepEqual(told, [])
  })
  it('gives way to another one as a whole, and is itself no other after that', async (t) => {
    const { live, told, first } = await following(t, { read: inOrder(reading(ruleFor('one'))) })
    assert.equal(await live.reload(), 'loaded')
    assert.deepEqual(seenBy(live.current()), sees('one'))
    assert.deepEqual(seenBy(first), sees('first'))
    const { digest } = textOf(ruleFor('one'))
    assert.deepEqual(told, [{ is: 'loaded', policy: digest, before: first.digest, problems: [] }])
    assert.equal(live.current().digest, digest)
  })
  it('stays in force while the files hold a bad one, which is told once', async (t) => {
    const read = inOrder(...Array.from({ length: 6 }, () => reading(bad)), reading(`#\n${bad}`))
    const { live, told, first } = await following(t, { read })
    for (const _ of [1, 2, 3]) assert.equal(await live.reload(), 'rejected')
    const { digest } = textOf(bad)
    assert.deepEqual(told, [{ is: 'rejected', policy: digest, before: first.digest, problems: [problem] }])
    assert.deepEqual(live.rejected(), { digest, problems: [problem] })
    for (const _ of [1, 2, 3, 4]) await live.reload()
    assert.equal(live.current(), first)
    assert.deepEqual(
      told.map(({ policy }) => policy),
      [digest, textOf(`#\n${bad}`).digest],
    )
  })
  it('is no longer held up by a bad one that is gone, whether it comes back itself or another one does', async (t) => {
    const back = [reading(bad), reading(bad), reading(ruleFor('first'))]
    const { live, told, first } = await following(t, {
      read: inOrder(...back, ...back.slice(2), reading(bad), reading(bad), reading(ruleFor('two'))),
    })
    assert.deepEqual([await live.reload(), await live.reload()], ['rejected', 'unchanged'])
    assert.equal(live.rejected(), null)
    assert.equal(live.current(), first)
    assert.deepEqual([await live.reload(), await live.reload()], ['rejected', 'loaded'])
    assert.equal(live.rejected(), null)
    assert.deepEqual(
      told.map(({ is }) => is),
      ['rejected', 'rejected', 'loaded'],
    )
  })
  it('stays where the files cannot be read, and that is told only if they stay away', async (t) => {
    const gone = fail(['gone'])
    const whole = reading(ruleFor('one'))
    const { live, told } = await following(t, { read: inOrder(gone, whole, whole, gone, gone, gone, whole) })
    assert.equal(await live.reload(), 'loaded')
    assert.deepEqual([await live.reload(), live.rejected()], ['rejected', { digest: null, problems: ['gone'] }])
    assert.deepEqual([await live.reload(), await live.reload(), live.rejected()], ['rejected', 'unchanged', null])
    assert.deepEqual(
      told.map(({ is }) => is),
      ['loaded', 'rejected'],
    )
  })
  it('gives way to nothing that is still being written', async (t) => {
    const whole = `${ruleFor('*')}p, group:a, *, query, namespace=secret, deny\n`
    const steps = [...whole.matchAll(/\n|,/g)].map(({ index }) => reading(whole.slice(0, index + 1)))
    const { live, told } = await following(t, { read: inOrder(...steps, reading(whole)) })
    assert.equal(await live.reload(), 'loaded')
    assert.deepEqual(
      told.map(({ is, policy }) => [is, policy]),
      [['loaded', textOf(whole).digest]],
    )
  })
  it('gives way to nothing that never keeps still', async (t) => {
    let lines = 0
    const { live, told, first } = await following(t, {
      read: async () => reading(ruleFor('one').repeat((lines += 1))),
    })
    assert.equal(await live.reload(), 'rejected')
    assert.equal(live.current(), first)
    assert.match(told[0]?.problems.join() ?? '', /^the policy cannot be read: its files do not keep still/)
  })
  it('is looked for once at a time, and once more for all that ask meanwhile', async (t) => {
    const gates: (() => void)[] = []
    let content = ruleFor('first')
    const { live } = await following(t, {
      async read() {
        const read = reading(content)
        const { promise, resolve } = Promise.withResolvers<undefined>()
        gates.push(() => resolve(undefined))
        await promise
        return read
      },
    })
    const begun = live.reload()
    while (gates.length === 0) await turn()
    // Too late for the look under way.
    content = ruleFor('two')
    const asked = [live.reload(), live.reload(), live.reload()]
    assert.equal(new Set(asked).size, 1)
    for (let opened = 0; opened < 3; opened += 1) {
      while (gates.length === opened) await turn()
      assert.equal(gates.length, opened + 1, 'two readings at once')
      gates[opened]?.()
    }
    assert.equal(await begun, 'unchanged')
    assert.deepEqual(await Promise.all(asked), ['loaded', 'loaded', 'loaded'])
    assert.deepEqual(seenBy(live.current()), sees('two'))
  })
  it('gives way to none once it was stopped', async (t) => {
    const { live, told, first } = await following(t, {
      async read() {
        live.stop()
        return reading(ruleFor('one'))
      },
    })
    assert.equal(await live.reload(), 'unchanged')
    assert.equal(live.current(), first)
    assert.deepEqual(told, [])
  })
  it('gives way to none at which the program itself breaks', async (t) => {
    const broken: unknown = { ...textOf(ruleFor('one')), rules: [{ name: 'policy.csv', text: null }] }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a mistake elsewhere would make
    const { live, told, first } = await following(t, { read: inOrder(ok(broken as PolicyText)) })
    assert.equal(await live.reload(), 'rejected')
    assert.equal(live.current(), first)
    assert.match(told[0]?.problems.join() ?? '', /^the policy cannot be loaded: /)
  })
  it('is looked for every now and then without a reason', async (t) => {
    const { live } = await following(t, {
      reload: 2,
      read: inOrder(reading(ruleFor('first')), reading(ruleFor('one'))),
    })
    live.start()
    while (live.current().digest !== textOf(ruleFor('one')).digest) await turn()
  })
})

describe('the system’s word that a file changed', () => {
  /** A policy whose files are not looked at but when the system tells; resolves when these rules are in force. */
  async function told(t: TestContext, dir: string) {
    const { live, told } = await following(t, { dir })
    live.start()
    const inForce = async (namespace: string): Promise<void> => {
      while (JSON.stringify(seenBy(live.current())) !== JSON.stringify(sees(namespace))) await turn()
      assert.deepEqual(
        told.filter(({ is }) => is !== 'loaded'),
        [],
      )
    }
    return { live, inForce }
  }
  const write = (dir: string, namespace: string): void => {
    mkdirSync(dir, { recursive: true })
    writeFileSync(join(dir, 'model.conf'), model)
    writeFileSync(join(dir, 'policy.csv'), ruleFor(namespace))
  }
  /** Makes a link, or puts another one in its place as `ln -sfn` does not: in one step. */
  const link = (target: string, path: string): void => {
    symlinkSync(target, `${path}_tmp`)
    renameSync(`${path}_tmp`, path)
  }

  it('is heard of a file that is written in place', async (t) => {
    const dir = newDir()
    write(dir, 'one')
    const { inForce } = await told(t, dir)
    await inForce('one')
    for (const namespace of ['two', 'three']) {
      writeFileSync(join(dir, 'policy.csv'), ruleFor(namespace))
      await inForce(namespace)
    }
  })
  it('is heard of a file that another one takes the place of', async (t) => {
    const dir = newDir()
    write(dir, 'one')
    const { inForce } = await told(t, dir)
    await inForce('one')
    for (const namespace of ['two', 'three']) {
      writeFileSync(join(dir, '.policy.csv.swp'), ruleFor(namespace))
      renameSync(join(dir, '.policy.csv.swp'), join(dir, 'policy.csv'))
      await inForce(namespace)
    }
  })
  it('is heard of a mounted ConfigMap, whose link is switched and whose old files are removed', async (t) => {
    const dir = newDir()
    const version = (namespace: string): string => `..2026_${namespace}`
    write(join(dir, version('one')), 'one')
    link(version('one'), join(dir, '..data'))
    for (const name of ['model.conf', 'policy.csv']) symlinkSync(`..data/${name}`, join(dir, name))
    const { inForce } = await told(t, dir)
    await inForce('one')
    for (const [before, namespace] of [
      ['one', 'two'],
      ['two', 'three'],
    ] as const) {
      write(join(dir, version(namespace)), namespace)
      link(version(namespace), join(dir, '..data'))
      rmSync(join(dir, version(before)), { recursive: true })
      await inForce(namespace)
    }
  })
  it('is heard of a link further up, and of files behind it that change after that', async (t) => {
    const dir = newDir()
    for (const namespace of ['one', 'two']) write(join(dir, 'releases', namespace, 'policy'), namespace)
    link('releases/one', join(dir, 'current'))
    const { inForce } = await told(t, join(dir, 'current/policy'))
    await inForce('one')
    link('releases/two', join(dir, 'current'))
    await inForce('two')
    write(join(dir, 'releases/two/policy'), 'three')
    await inForce('three')
  })
  it('is heard of a directory that another one takes the place of', async (t) => {
    const dir = newDir()
    write(join(dir, 'policy'), 'one')
    write(join(dir, 'next'), 'two')
    const { inForce } = await told(t, join(dir, 'policy'))
    await inForce('one')
    renameSync(join(dir, 'policy'), join(dir, 'last'))
    renameSync(join(dir, 'next'), join(dir, 'policy'))
    await inForce('two')
    write(join(dir, 'policy'), 'three')
    await inForce('three')
  })
  it('does not set off a look where it is about other files of the same directory', async (t) => {
    const dir = newDir()
    write(dir, 'one')
    let reads = 0
    const { live } = await following(t, {
      dir,
      async read() {
        reads += 1
        return reading(ruleFor('first'))
      },
    })
    live.start()
    await live.reload()
    const { promise: heard, resolve } = Promise.withResolvers<undefined>()
    const witness = watch(dir, (_, name) => {
      if (name === 'last') resolve(undefined)
    })
    t.after(() => witness.close())
    const before = reads
    for (const name of ['audit.ndjson', 'policy.csv.bak', 'last']) writeFileSync(join(dir, name), '')
    await heard
    await live.reload()
    assert.equal(reads - before, 1)
  })
})

describe('an announcement', () => {
  interface Entry {
    readonly kind: string
    readonly id: string
    readonly replaced?: string
  }
  /** A record that keeps entries in order, or not at all; each disk operation takes a turn. */
  function record() {
    const kept: string[] = []
    const state = { broken: false }
    const keep = async ({ id, replaced }: Entry) => {
      const { broken } = state
      if (!broken) kept.push(replaced === undefined ? id : `${id} for ${replaced}`)
      await turn()
      return broken ? fail('broken') : ok(id)
    }
    const { announce, behind } = announcing<Entry, string, string>(keep, mergeLoaded)
    const append = behind(keep)
    return { kept, state, append: (id: string) => append({ kind: 'decision', id }), announce }
  }
  const loaded = (id: string, replaced: string): Entry => ({ kind: 'policy.loaded', id, replaced })

  it('stands before all that is appended after it', async () => {
    const { kept, announce, append } = record()
    const before = append('a')
    const all = [before, announce(loaded('new', 'old')), append('b'), append('c')]
    assert.deepEqual(await Promise.all(all), ['a', 'new', 'b', 'c'].map(ok))
    assert.deepEqual(kept, ['a', 'new for old', 'b', 'c'])
  })
  it('that could not be kept is kept before the next entry, or that one is not kept either', async () => {
    const { kept, state, announce, append } = record()
    state.broken = true
    assert.deepEqual(await announce(loaded('new', 'old')), fail('broken'))
    assert.deepEqual(await append('a'), fail('broken'))
    state.broken = false
    assert.deepEqual(await Promise.all([append('b'), append('c')]), [ok('b'), ok('c')])
    assert.deepEqual(kept, ['new for old', 'b', 'c'])
  })
  it('that is not kept fails what was appended while it was tried', async () => {
    const { state, announce, append } = record()
    state.broken = true
    const announced = announce(loaded('new', 'old'))
    state.broken = false
    const appended = append('a')
    assert.deepEqual([await announced, await appended], [fail('broken'), fail('broken')])
    assert.deepEqual(await append('b'), ok('b'))
  })
  it('of a policy that nothing was recorded of gives way to the next one’s', async () => {
    const { kept, state, announce, append } = record()
    state.broken = true
    for (const [now, then] of [
      ['two', 'one'],
      ['three', 'two'],
      ['four', 'three'],
    ] as const) {
      await announce(loaded(now, then))
      await announce({ kind: 'policy.rejected', id: `bad after ${now}` })
    }
    state.broken = false
    await append('a')
    assert.deepEqual(kept, ['four for one', 'bad after four', 'a'])
  })
})
