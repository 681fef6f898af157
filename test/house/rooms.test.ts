// Holds the table of rooms: which room may import which, and who alone may use a package or a global.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, it } from 'node:test'

const src = resolve(import.meta.dirname, '../../src')

interface Room {
  /** Rooms whose values may be imported. */
  readonly may: readonly string[]
  /** Rooms of which only types may be imported. */
  readonly types?: readonly string[]
  readonly packages: readonly string[]
  /** May it import `node:` modules? */
  readonly node: boolean
}

const rooms: Readonly<Record<string, Room>> = {
  promql: { may: [], packages: [], node: false },
  identity: { may: [], packages: ['jose', 'openid-client'], node: true },
  audit: { may: [], packages: ['pg'], node: true },
  telemetry: { may: [], packages: ['prom-client', 'pino'], node: true },
  policy: { may: [], types: ['identity'], packages: ['casbin', 'csv-parse'], node: true },
  prometheus: { may: ['promql'], types: ['policy'], packages: ['http-proxy-middleware'], node: true },
  gateway: {
    may: ['identity', 'policy', 'prometheus', 'audit', 'telemetry'],
    types: ['pages'],
    packages: [],
    node: true,
  },
  review: { may: ['audit'], types: ['identity', 'policy'], packages: ['@duckdb'], node: true },
  pages: { may: ['identity', 'policy', 'audit', 'review', 'telemetry'], packages: [], node: false },
  config: {
    may: [],
    types: ['identity', 'policy', 'prometheus', 'audit', 'review', 'telemetry'],
    packages: ['zod', 'yaml'],
    node: true,
  },
  app: {
    may: ['identity', 'pages', 'audit', 'review'],
    types: ['config', 'policy', 'telemetry'],
    packages: ['express'],
    node: true,
  },
  'app.ts': {
    may: ['app', 'config', 'identity', 'policy', 'prometheus', 'gateway', 'audit', 'telemetry'],
    types: ['pages'],
    packages: ['express'],
    node: true,
  },
  cli: {
    may: ['app.ts', 'config', 'identity', 'policy', 'audit', 'review', 'promql', 'prometheus'],
    packages: [],
    node: true,
  },
  'main.ts': { may: ['cli'], packages: [], node: true },
}

/** Words that belong to one place: the environment to config, the command line and exit codes to cli and main. */
const words: readonly (readonly [RegExp, readonly string[]])[] = [
  [/\bprocess\.env\b/, ['config']],
  [/\bprocess\.(argv|exit|exitCode)\b/, ['cli', 'main.ts']],
  [/\bnew Date\(\)|\bDate\.now\b/, ['app.ts', 'cli']],
]

interface Import {
  readonly file: string
  readonly room: string
  readonly target: string
  readonly typeOnly: boolean
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
const roomOf = (file: string): string => file.split(/[/\\]/)[0] ?? ''
const textOf = (file: string): string => readFileSync(join(src, file), 'utf8')
const imports = files.flatMap(importsOf)

function importsOf(file: string): readonly Import[] {
  const found = textOf(file).matchAll(
    /^(?:import|export)\s+(type\s)?[^'";]*?\bfrom\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm,
  )
  return [...found].map(([, type, from, bare, dynamic]) => ({
    file,
    room: roomOf(file),
    target: from ?? bare ?? dynamic ?? '',
    typeOnly: type !== undefined,
  }))
}

describe('the rooms', () => {
  it('are seen at all, with their imports', () => {
    assert.ok(files.length > 30, `only ${files.length} files`)
    assert.ok(imports.length > 100, `only ${imports.length} imports`)
    assert.ok(imports.some(({ target }) => target === 'casbin'))
    assert.ok(imports.some(({ typeOnly }) => typeOnly))
  })

  it('are all in the table, and the table names no room that is gone', () => {
    const seen = new Set(files.map(roomOf))
    seen.delete('result.ts')
    assert.deepEqual([...seen].toSorted(), Object.keys(rooms).toSorted())
  })

  for (const { file, room, target, typeOnly } of imports) {
    it(`${file} may import ${target}`, () => {
      const known = rooms[room]
      if (target.startsWith('node:')) return assert.equal(known?.node ?? room === 'result.ts', true)
      if (!target.startsWith('.')) {
        return assert.ok(known?.packages.includes(target.split('/')[0] ?? ''), `${room} must not use ${target}`)
      }
      const other = roomOf(relative(src, resolve(dirname(join(src, file)), target)))
      if (other === room || other === 'result.ts') return undefined
      const { may = [], types = [] } = known ?? {}
      return assert.ok(may.includes(other) || (typeOnly && types.includes(other)), `${room} must not import ${other}`)
    })
  }

  for (const [word, owners] of words) {
    it(`only ${owners.join(' and ')} use ${word.source}`, () => {
      const users = files.filter((file) => word.test(textOf(file).replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, '')))
      assert.deepEqual(
        users.filter((file) => !owners.includes(roomOf(file))),
        [],
      )
      assert.ok(users.length > 0, 'nobody uses it: is the pattern still right?')
    })
  }
})
