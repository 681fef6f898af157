// Links lead somewhere, and commands that the docs name exist.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { commands } from '../../src/cli/cli.ts'

const root = resolve(import.meta.dirname, '../..')
const pages = [
  ...readdirSync(root).filter((file) => file.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file)),
]
const textOf = (page: string): string => readFileSync(join(root, page), 'utf8')
const manifest: unknown = JSON.parse(textOf('package.json'))
const scripts = Object.keys(Object(Reflect.get(Object(manifest), 'scripts')))

describe('the pages', () => {
  it('are there', () => {
    for (const page of ['README.md', 'SECURITY.md', 'CHANGELOG.md', 'docs/api.md']) assert.ok(pages.includes(page))
  })
  for (const page of pages) {
    it(`${page}: each link leads to a file`, () => {
      for (const [, target = ''] of textOf(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
        if (/^[a-z]+:/.test(target)) continue
        assert.ok(existsSync(resolve(root, dirname(page), target)), `${page} links to ${target}`)
      }
    })
    it(`${page}: each file named in backquotes below test/ and src/ is there`, () => {
      for (const [, path = ''] of textOf(page).matchAll(/`((?:test|src|policies)\/[\w./-]+)`/g)) {
        assert.ok(existsSync(join(root, path)), `${page} names ${path}`)
      }
    })
    it(`${page}: each npm script and each command is there`, () => {
      for (const [, name = ''] of textOf(page).matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g)) {
        assert.ok(scripts.includes(name), `${page} says npm run ${name}`)
      }
      for (const [, command = ''] of textOf(page).matchAll(
        /\bbailiwick (?:-- )?(serve|check-\w+|explain|audit|policy)\b/g,
      )) {
        assert.ok(Object.hasOwn(commands, command), `${page} says bailiwick ${command}`)
      }
    })
  }
})
