// The JSON Schema of the record knows every kind and every field: of the types, of the examples and of a real run.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { appendFile, cp, mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { ValidateFunction } from 'ajv/dist/2020.js'
import { generateKeyPair } from '../../src/audit/keys.ts'
import { auditLimits } from '../../src/audit/limits.ts'
import { openAuditLog } from '../../src/audit/log.ts'
import type { Config } from '../../src/config/config.ts'
import { startLoginWorld } from '../support/login-world.ts'
import { startStubGateway } from '../support/stub-gateway.ts'
import { send, visitor } from '../support/visitor.ts'
import { decision } from '../unit/audit/support.ts'

type Json = Readonly<Record<string, unknown>>

const root = join(import.meta.dirname, '../..')
const schema: Json = JSON.parse(readFileSync(join(root, 'docs/audit-record.schema.json'), 'utf8'))
const source = ['request', 'review', 'log']
  .map((part) => `src/audit/record-${part}.ts`)
  .concat('src/audit/record.ts')
  .map((file) => readFileSync(join(root, file), 'utf8'))
  .join('\n')
const page = readFileSync(join(root, 'docs/audit-record.md'), 'utf8')

const at = (from: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>((found, name) => Reflect.get(Object(found), name), from)
const namesAt = (...path: readonly string[]): readonly string[] => Object.keys(Object(at(schema, ...path)))
const listAt = (...path: readonly string[]): readonly string[] => [Object(at(schema, ...path) ?? [])].flat().map(String)
const kinds = namesAt('$defs', 'kinds')

/** The schema with every object closed, so that a kind or a field that it does not know is an error. */
function closed(part: unknown, isRoot = true): unknown {
  if (Array.isArray(part)) return part.map((item: unknown) => closed(item, false))
  if (typeof part !== 'object' || part === null) return part
  const copy = Object.fromEntries(Object.entries(part).map(([name, value]) => [name, closed(value, false)]))
  if (isRoot) {
    const properties = { ...Object(copy['properties']), kind: { enum: kinds } }
    return { ...copy, $id: 'closed', properties, unevaluatedProperties: false }
  }
  return copy['type'] === 'object' && 'properties' in copy ? { ...copy, additionalProperties: false } : copy
}

const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allErrors: true })
const open: ValidateFunction = ajv.compile(schema)
const strict: ValidateFunction = ajv.compile(Object(closed(schema)))

function assertFits(validate: ValidateFunction, record: unknown): void {
  assert.ok(validate(record), `${ajv.errorsText(validate.errors)}\n${JSON.stringify(record)}`)
}
const example = (kind: string): Json => Object(at(schema, '$defs', 'kinds', kind, 'examples', '0'))

interface Shape {
  readonly kind: string | null
  readonly fields: ReadonlyMap<string, { readonly optional: boolean; readonly type: string }>
}

/** The interfaces of the record's types, read from their text. */
function shapes(): ReadonlyMap<string, Shape> {
  const found = new Map<string, Shape>()
  for (const [, name = '', base = '', body = ''] of source.matchAll(
    /^(?:export )?interface (\w+)(?: extends (\w+))? \{\n(.*?)^\}/gms,
  )) {
    const own = [...body.matchAll(/^ {2}readonly (\w+)(\??): (.*)$/gm)].map(
      ([, field = '', mark, type = '']) => [field, { optional: mark === '?', type }] as const,
    )
    const fields = new Map([...(found.get(base)?.fields ?? []), ...own])
    const kind = /^'(.*)'$/.exec(fields.get('kind')?.type ?? '')?.[1] ?? null
    fields.delete('kind')
    found.set(name, { kind, fields })
  }
  return found
}

const types = shapes()
const union = (name: string): readonly string[] =>
  [...(new RegExp(`^export type ${name} =(.*?)\\n\\n`, 'ms').exec(`${source}\n\n`)?.[1] ?? '').matchAll(/\w+/g)].map(
    String,
  )
const entries = union('AnyEntry').flatMap((name) => (name === 'AuditEntry' ? union(name) : [name]))

describe('the schema of the record and its types', () => {
  it('have the same kinds', () => {
    assert.ok(entries.length > 20, `only ${entries.length}`)
    assert.deepEqual(entries.map((name) => types.get(name)?.kind ?? name).toSorted(), kinds.toSorted())
  })
  for (const name of entries) {
    const { kind, fields } = types.get(name) ?? assert.fail(name)
    it(`have the same fields of ${kind}`, () => {
      const place = ['$defs', 'kinds', kind ?? ''] as const
      assert.deepEqual(namesAt(...place, 'properties').toSorted(), [...fields.keys()].toSorted())
      const required = [...fields].filter(([, { optional }]) => !optional).map(([field]) => field)
      assert.deepEqual(listAt(...place, 'required').toSorted(), required.toSorted())
    })
    it(`have the same words for ${kind}`, () => {
      for (const [field, { type }] of fields) {
        const words = /^'[^']*'(?: \| '[^']*')*$/.test(type)
          ? [...type.matchAll(/'([^']*)'/g)].map(([, word = '']) => word)
          : []
        const place = ['$defs', 'kinds', kind ?? '', 'properties', field] as const
        const known = [...listAt(...place, 'enum'), ...listAt(...place, 'const')]
        assert.deepEqual(known.toSorted(), words.toSorted(), field)
      }
    })
  }
  it('have the same fields of what several kinds hold', () => {
    for (const [name, type] of [
      ['Who', 'who'],
      ['From', 'from'],
      ['TornTail', 'tail'],
      ['PreviousSegment', 'previous'],
      ['UnreadSegment', 'unread'],
    ] as const) {
      const fields = [...(types.get(name)?.fields ?? [])]
      assert.deepEqual(
        namesAt('$defs', 'types', type, 'properties').toSorted(),
        fields.map(([field]) => field).toSorted(),
      )
      const whole = type === 'who' ? listAt('$defs', 'whole', 'properties', 'who', 'required') : []
      const required = new Set([...listAt('$defs', 'types', type, 'required'), ...whole])
      const needed = fields.filter(([, { optional }]) => !optional).map(([field]) => field)
      assert.deepEqual([...required].toSorted(), needed.toSorted(), name)
    }
  })
})

describe('an example', () => {
  for (const kind of kinds) {
    it(`of ${kind} fits; without a field, or with another thing in it, it does not`, () => {
      const record = example(kind)
      assertFits(strict, record)
      assert.equal(record['kind'], kind)
      const required = [...listAt('required'), ...listAt('$defs', 'kinds', kind, 'required')]
      for (const field of required) {
        const { [field]: _, ...rest } = record
        assert.equal(open(rest), false, `without ${field}`)
      }
      for (const field of Object.keys(record).filter((name) => name !== 'kind')) {
        assert.equal(open({ ...record, [field]: { is: 'something else' } }), field === 'claimed', field)
      }
    })
    it(`of ${kind} may have a field that came later, which is noticed only by who looks for it`, () => {
      const later = { ...example(kind), later: 1 }
      assertFits(open, later)
      assert.equal(strict(later), false)
    })
  }
  it('may have less in it where something was cut, and nowhere else', () => {
    const record = { ...example('decision'), asked: [['query']] }
    assert.equal(open(record), false)
    assertFits(strict, { ...record, truncated: ['/asked/0'] })
    assert.equal(open({ ...record, truncated: [] }), false)
  })
  it('of a kind that came later fits, and is noticed only by who looks for it', () => {
    const later = { ...example('hold.ended'), kind: 'later', more: true }
    assertFits(open, later)
    assert.equal(strict(later), false)
  })
  it('within another field may have more, which is noticed only by who looks for it', () => {
    const later = { ...example('decision'), from: { peer: '127.0.0.1', port: 1 } }
    assertFits(open, later)
    assert.equal(strict(later), false)
  })
  it('needs no other word than those on the page about the record', () => {
    const fields = kinds.flatMap((kind) => namesAt('$defs', 'kinds', kind, 'properties'))
    const words = new Set([
      ...kinds,
      ...namesAt('properties'),
      ...fields,
      ...namesAt('$defs', 'types', 'who', 'properties'),
    ])
    assert.deepEqual(
      [...words].filter((word) => !page.includes(`\`${word}\``)),
      [],
    )
  })
  it('on the page about the record fits', () => {
    const blocks = [...page.matchAll(/```(?:json|ndjson)\n(.*?)```/gs)].map(([, text = '']) => text)
    for (const line of blocks.flatMap((text) => (text.startsWith('{\n') ? [text] : text.trim().split('\n')))) {
      const record: unknown = JSON.parse(line)
      if ('kind' in Object(record)) assertFits(strict, record)
    }
  })
})

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const answer = '{"status":"success","data":{"resultType":"vector","result":[]}}'
const keyed =
  (key: string, previousKey: string | null, directory?: string, rules?: string) =>
  (config: Config): Config => ({
    ...config,
    audit: {
      ...config.audit,
      ...(directory === undefined ? {} : { directory }),
      checkpoints: { ...config.audit.checkpoints, key, previousKey, every: 10 },
    },
    policy: rules === undefined ? config.policy : { ...config.policy, rules: [rules] },
  })

describe('the records of a real run', { timeout: 60_000 }, () => {
  const lines: string[] = []
  let scratch: string
  async function take(dir: string): Promise<void> {
    for (const name of (await readdir(dir)).filter((one) => one.endsWith('.ndjson')).toSorted()) {
      lines.push(...(await readFile(join(dir, name), 'utf8')).split('\n').slice(0, -1))
    }
  }
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-schema-'))
    await logins()
    await rulesAndCrash()
    await cutRecords()
  })
  after(() => rm(scratch, { recursive: true, force: true }))

  /** Logins and logouts, those that come about and those that do not. */
  async function logins(): Promise<void> {
    const world = await startLoginWorld()
    try {
      const alice = visitor()
      await alice.logIn(`${world.url}/bailiwick/`, 'alice')
      await alice.ask(`${world.url}/clusters/east/api/v1/query?query=up`, {
        headers: { 'sec-fetch-site': 'same-origin' },
      })
      const out = await alice.ask(`${world.url}/bailiwick/logout`, { headers: { accept: 'text/html' } })
      const code = /name="code" value="([^"]+)"/.exec(out.text)?.[1] ?? ''
      const headers = { ...form, origin: world.url }
      await alice.ask(`${world.url}/bailiwick/logout`, { method: 'POST', headers, body: `code=${code}` })
      await send(`${world.url}/bailiwick/callback?code=x&state=y`, { headers: { accept: 'text/html' } })
      const body = 'logout_token=forged'
      await send(`${world.url}/bailiwick/back-channel-logout`, { method: 'POST', headers: form, body })
      await take(world.auditDir)
    } finally {
      await world.stop()
    }
  }

  /** Answers, refusals and policies; then the log as kill -9 leaves it, and a gateway with another key that goes on with it. */
  async function rulesAndCrash(): Promise<void> {
    const [first, second] = [generateKeyPair().privatePem, generateKeyPair().privatePem]
    const [rules, dir, crashed] = [join(scratch, 'rules.csv'), join(scratch, 'audit'), join(scratch, 'crashed')]
    await cp(join(root, 'policies/policy.csv'), rules)
    const gateway = await startStubGateway(
      (_, response) => void response.setHeader('content-type', 'application/json').end(answer),
      keyed(first, null, dir, rules),
    )
    try {
      const headers = { authorization: `Bearer ${await gateway.token()}`, 'x-dashboard-uid': 'd' }
      const ask = async (path: string, more = headers): Promise<number> =>
        (await send(gateway.url + path, { headers: more })).status
      assert.equal(await ask('/api/v1/query?query=up'), 200)
      for (const path of ['/api/v1/query?query=sum(', '/api/v1/nothing', '/api/v1/status/config', '/federate?x=1']) {
        assert.ok((await ask(path)) >= 400)
      }
      assert.equal((await send(`${gateway.url}/api/v1/query?query=up`)).status, 401)
      await appendFile(rules, 'p, group:team-later, *, query, namespace=later, allow\n')
      await gateway.reload()
      await appendFile(rules, 'nonsense\n')
      await gateway.reload()
      await cp(dir, crashed, { recursive: true, filter: (path) => !path.includes('owner.lock') })
    } finally {
      await gateway.stop()
    }
    const live = (await readdir(crashed)).find((name) => name.endsWith('.ndjson')) ?? ''
    await appendFile(join(crashed, live), '{"v":1,"seq":')
    const next = await startStubGateway(() => {}, keyed(second, first, crashed))
    await next.stop()
    await take(dir)
    await take(crashed)
  }

  async function cutRecords(): Promise<void> {
    const dir = join(scratch, 'cut')
    const log = openAuditLog({ dir, clock: () => new Date(), newId: randomUUID })
    const { who, asked, ...rest } = decision('long', 'x'.repeat(auditLimits.textUnits + 1))
    await log.append({ ...rest, who, asked })
    const pairs = Array.from({ length: 50 }, () => ['n'.repeat(1_000), 'v'.repeat(20_000)] as const)
    const groups = Array.from({ length: 90_000 }, (_, n) => `group-${n}`)
    await log.append({ ...rest, asked: pairs, who: { ...Object(who), groups }, sent: [{ path: '/', params: pairs }] })
    await log.seal()
    await take(dir)
  }

  it('all fit, and nothing in them is unknown to the schema', () => {
    for (const line of lines) assertFits(strict, JSON.parse(line))
  })
  it('are of these kinds at least', () => {
    const seen = new Set(lines.map((line) => String(Object(JSON.parse(line)).kind)))
    for (const kind of [
      ...['decision', 'outcome', 'login', 'login.failed', 'logout', 'logout.failed'],
      ...['policy.loaded', 'policy.rejected', 'log.opened', 'log.sealed', 'key.changed'],
    ]) {
      assert.ok(seen.has(kind), `no ${kind} among ${[...seen].join(', ')}`)
    }
    assert.match(lines.join('\n'), /"found":"torn"/)
    assert.match(lines.join('\n'), /"replaced":"sha256:/)
    assert.match(lines.join('\n'), /"truncated":/)
  })
})
