// docs/configuration.md says what the schema says, and its examples do what it says of them.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, it } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { printProblems } from '../../../src/cli/config-option.ts'
import { loadConfig } from '../../../src/config/config.ts'
import { schema } from '../../../src/config/schema.ts'

const root = resolve(import.meta.dirname, '../../..')
const page = readFileSync(join(root, 'docs/configuration.md'), 'utf8')
const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-config-docs-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

/** The one block of code whose fence begins with this. */
function block(fence: string): string {
  const found = [...page.matchAll(/^```(.*)\n([^]*?)^```$/gm)].filter(([, info]) => info === fence)
  assert.equal(found.length, 1, `there must be one block of ${fence}`)
  return found[0]?.[2] ?? ''
}

/** A setting as the table has it. */
type Row = readonly [name: string, fallback: string]

/** Sections that may be absent as a whole: what is in them has its default only where they are written. */
const optional: string[] = []

/** Every setting of the schema that holds no further settings. */
function leaves(node: unknown, path: string, required: boolean): readonly Row[] {
  const { type, properties, items, default: fallback, required: names = [] } = Object(node)
  // A record of names that the operator chooses has no properties of its own.
  if (type === 'object' && properties !== undefined) {
    const prefix = path === '' ? '' : `${path}.`
    if (!required && fallback === undefined) optional.push(prefix)
    return Object.entries(Object(properties)).flatMap(([key, inner]) =>
      leaves(inner, `${prefix}${key}`, [...names].includes(key)),
    )
  }
  if (type === 'array' && Object(items).type === 'object') return leaves(items, `${path}[]`, required)
  return [[path, fallback === undefined ? (required ? 'required' : 'none') : written(fallback)]]
}
const written = (fallback: unknown): string =>
  fallback === ''
    ? 'empty'
    : [fallback]
        .flat()
        .map((one) => `\`${String(one)}\``)
        .join(', ')

describe('the table of settings', () => {
  const table: readonly Row[] = [...page.matchAll(/^\| `([^`]+)` \| ([^|]+) \| [^|]+ \|$/gm)].map(
    ([, name = '', fallback = '']) => [name, fallback],
  )
  const inSchema = leaves(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), '', true)

  it('is the schema: every setting in its order, with its default or that it is required', () => {
    assert.ok(inSchema.length > 15, `only ${inSchema.length} settings seen`)
    assert.deepEqual(table, inSchema)
  })
  it('has a row for each of its lines', () => {
    const [, section = ''] = page.split('## Every setting\n')
    const lines = (section.split('\n## ')[0] ?? '').split('\n').filter((line) => line.startsWith('| `'))
    assert.equal(table.length, lines.length)
  })
  it('names a default that the file may say itself, to the same effect', () => {
    const minimal = {
      clusters: [{ name: 'a', prometheus: { url: 'http://a' } }],
      identity: { issuers: [{ issuer: 'https://a', audience: ['a'] }] },
      policy: { model: 'a', rules: ['a'] },
      audit: { directory: 'a' },
    }
    const said = structuredClone(minimal)
    for (const [path, fallback] of table) {
      if (fallback === 'required' || fallback === 'none') continue
      if (optional.some((section) => path.startsWith(section))) continue
      const values = [...fallback.matchAll(/`([^`]+)`/g)].map(([, value]) => value)
      // Read as YAML, as the file would be.
      const value: unknown = parse(values[0] ?? '""')
      put(said, path.replaceAll('[]', '.0').split('.'), path.endsWith('algorithms') ? values : value)
    }
    assert.notDeepEqual(said, minimal)
    assert.deepEqual(schema.parse(said), schema.parse(minimal))
  })
  it('says that the rest may be absent: the shortest file has the four sections only', () => {
    const sections = new Set(
      inSchema.filter(([, fallback]) => fallback === 'required').map(([path]) => path.split(/\W/)[0]),
    )
    assert.deepEqual([...sections], ['clusters', 'identity', 'policy', 'audit'])
  })
})

function put(target: object, [key = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) return void Reflect.set(target, key, value)
  const inner: unknown = Reflect.get(target, key) ?? {}
  Reflect.set(target, key, inner)
  return put(Object(inner), rest, value)
}

describe('the example', () => {
  const file = join(root, 'docs/examples/bailiwick.yaml')

  it('is the file that the page says it is', () => {
    assert.equal(block('yaml'), readFileSync(file, 'utf8'))
  })
  it('loads, and finds the policy of the repository', () => {
    const config = loadConfig(file, {})
    assert.ok(config.ok, JSON.stringify(config))
    assert.deepEqual(config.value.policy, {
      model: join(root, 'policies/model.conf'),
      rules: [join(root, 'policies/policy.csv')],
      profile: 'linkerd',
      reload: 30_000,
    })
  })
  it('has every setting of the table, some of them as a comment', () => {
    for (const [, name = ''] of page.matchAll(/^\| `([^`]+)` \|/gm)) {
      assert.match(block('yaml'), new RegExp(`^[ #-]*${name.split('.').at(-1)}(_file)?:`, 'm'))
    }
  })
})

describe('the broken example', () => {
  it('gives what the page says', () => {
    const file = join(scratch, 'broken.yaml')
    writeFileSync(file, block('yaml broken'))
    const config = loadConfig(file, {})
    assert.ok(!config.ok)
    let err = ''
    const terminal = { out: assert.fail, err: (text: string) => void (err += text), lines: assert.fail }
    assert.equal(printProblems(terminal, 'broken.yaml', config.error), 1)
    assert.equal(err, block('text broken'))
  })
})
