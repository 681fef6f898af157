// docs/attacks.md names a test for every attack, the test is there, and it runs.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'

const root = resolve(import.meta.dirname, '../..')
const textOf = (file: string): string => readFileSync(join(root, file), 'utf8')
const files = readdirSync(join(root, 'test/attacks')).map((file) => `test/attacks/${file}`)

interface Row {
  readonly cells: readonly string[]
  readonly tests: readonly { readonly file: string; readonly title: string }[]
}

/** The rows of the page's tables; `\|` is a bar within a cell. */
const rows: readonly Row[] = textOf('docs/attacks.md')
  .split('\n')
  .filter((line) => /^\| *\d+ *\|/.test(line))
  .map((line) => {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'))
    const named = (cells[4] ?? '').matchAll(/`([^`]+)`, “([^”]+)”/g)
    return { cells: cells.slice(1, -1), tests: [...named].map(([, file = '', title = '']) => ({ file, title })) }
  })

const literal = /'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/.source
const plain = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')

/** Where in a file of tests one of this title begins, or -1. What a template fills in must stand in the file as a text. */
function placeOf(title: string, text: string): number {
  for (const found of text.matchAll(new RegExp(String.raw`\bit\(\s*(?:${literal}|(\w+),)`, 'g'))) {
    const [, single, double, template, variable] = found
    const fixed = single ?? double
    const parts = variable === undefined ? (template ?? '').split(/\$\{[^}]*\}/) : ['', '']
    const filled = new RegExp(`^${parts.map(plain).join('(.+)')}$`).exec(title)?.slice(1)
    if (fixed === undefined ? filled?.every((one) => hasText(text, one)) : fixed === title) return found.index
  }
  return -1
}

const hasText = (text: string, wanted: string): boolean =>
  [`'${wanted}'`, `"${wanted}"`, `\`${wanted}\``].some((quoted) => text.includes(quoted))

/** A test from its beginning up to its end, or the next one's beginning. */
function blockAt(place: number, text: string): string {
  const indent = /^ */.exec(text.slice(text.lastIndexOf('\n', place) + 1, place))?.[0] ?? ''
  const [block = ''] = text.slice(place + 1).split(new RegExp(String.raw`\n(?:${indent}\}\)|\s*(?:it|describe)\()`))
  return block
}

/** Lines that leave a test out, but for those that say under which condition. */
function skipsIn(text: string): readonly string[] {
  const lines = text.split('\n').filter((line) => !/^\s*\/\//.test(line))
  return lines.filter((line, index) => {
    if (/\b(?:it|describe|test)\.(?:skip|todo|only)\b/.test(line)) return true
    if (!/\b(?:skip|todo)\b/.test(line.replaceAll(new RegExp(literal, 'g'), ''))) return false
    const asked = `${lines[index - 1] ?? ''} ${line}`
    return !/\bif \(/.test(asked) && !/\bskip: (?!true\b)[\w(!]/.test(line)
  })
}

describe('docs/attacks.md', () => {
  it('has rows, numbered without a gap, each with an attack, a behaviour and a test', () => {
    assert.ok(rows.length > 80, `only ${rows.length}`)
    for (const [index, { cells, tests }] of rows.entries()) {
      assert.equal(cells.length, 4, cells.join(' | '))
      assert.equal(cells[0], String(index + 1))
      assert.ok(
        cells.every((cell) => cell !== ''),
        `row ${index + 1}`,
      )
      assert.ok(tests.length > 0, `row ${index + 1} names no test`)
    }
    assert.equal(new Set(rows.map(({ cells }) => cells[1])).size, rows.length, 'an attack has two rows')
  })
  it('names tests that are there', () => {
    for (const { cells, tests } of rows) {
      for (const { file, title } of tests) {
        assert.ok(existsSync(join(root, file)), `row ${cells[0]}: there is no ${file}`)
        assert.ok(placeOf(title, textOf(file)) >= 0, `row ${cells[0]}: ${file} has no test “${title}”`)
      }
    }
  })
  it('names no test that is left out under a condition of its own', () => {
    for (const { tests } of rows) {
      for (const { file, title } of tests) {
        assert.doesNotMatch(blockAt(placeOf(title, textOf(file)), textOf(file)), /\bskip\b/, `${file}: ${title}`)
      }
    }
  })
  it('names each file of test/attacks', () => {
    const named = new Set(rows.flatMap(({ tests }) => tests.map(({ file }) => file)))
    assert.deepEqual(
      files.filter((file) => !named.has(file)),
      [],
    )
    assert.ok(files.length > 10)
  })
})

describe('test/attacks', () => {
  for (const file of files) {
    it(`${file} leaves nothing out without a condition`, () => assert.deepEqual(skipsIn(textOf(file)), []))
  }
})

describe('what looks for them', () => {
  it('finds a title that is written or filled in, and no other', () => {
    const text =
      "it('one', x)\nit(`two ${how} three`, x)\n[['quick', 1]]\nfor (const [name] of [['four']]) it(name, x)\n"
    for (const title of ['one', 'two quick three', 'four']) assert.ok(placeOf(title, text) >= 0, title)
    for (const title of ['on', 'one more', 'two slow three', 'two  three', 'five'])
      assert.equal(placeOf(title, text), -1)
  })
  it('finds a test that is left out', () => {
    for (const line of [
      ...["it.skip('x', () => {})", "describe.todo('x')", "it('x', { skip: true }, y)", "it('x', { todo: 'later' })"],
      ...["it('x', { skip: 'later' }, y)", "  context.skip('x')", "test.only('x', y)", 'it(name, { skip: `x` }, y)'],
    ]) {
      assert.deepEqual(skipsIn(line), [line])
    }
    for (const line of ["it('x', { skip: without3 }, y)", "if (!found)\n  return context.skip('x')", "it('skip', y)"]) {
      assert.deepEqual(skipsIn(line), [])
    }
  })
})
