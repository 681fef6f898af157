// docs/policy.md does what it says: its files are written, its commands run one after the other, and its tables looked up.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { after, describe, it } from 'node:test'
import { parse } from 'yaml'
import { runCommand } from '../../src/cli/cli.ts'
import { maxRoleDepth, maxRules } from '../../src/policy/limits.ts'
import { lint } from '../../src/policy/lint.ts'
import { parsePolicy } from '../../src/policy/parse.ts'
import { loadPolicy } from '../../src/policy/policy.ts'
import { limitNames } from '../../src/policy/query-limits.ts'
import { actions } from '../../src/policy/rules.ts'

const root = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/policy.md'), 'utf8')
const model = { name: 'model.conf', text: readFileSync(join(root, 'policies/model.conf'), 'utf8') }
const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-policy-docs-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
const before = process.cwd()
process.chdir(scratch)
after(() => process.chdir(before))

interface Block {
  readonly language: string
  readonly file: string
  readonly text: string
}
/** The page's blocks of code, in their order. */
const blocks: readonly Block[] = [...page.matchAll(/^```(\w+) ?(\S*)\n([^]*?)^```$/gm)].map(
  ([, language = '', file = '', text = '']) => ({ language, file, text }),
)

/** The rows of the table below a heading, without its head. */
function tableOf(heading: string): readonly (readonly string[])[] {
  const [, section = ''] = page.split(`\n${heading}\n`)
  const lines = (section.split(/\n##+ /)[0] ?? '').split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|')),
  )
}
const bare = (cell: string | undefined): string => (cell ?? '').replaceAll('`', '')

async function bailiwick(line: string): Promise<{ readonly code: number; readonly text: string }> {
  let text = ''
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
  const terminal = {
    out: (more: string) => void (text += more),
    err: (more: string) => void (text += more),
    lines: assert.fail,
  }
  return { code: await runCommand(words.slice(1), terminal), text: text.replaceAll(/sha256:[0-9a-f]{64}/g, 'sha256:…') }
}

describe('docs/policy.md', () => {
  it('has files and commands', () => {
    const commands = blocks
      .filter(({ language }) => language === 'console')
      .flatMap(({ text }) => text.match(/^\$ /gm) ?? [])
    assert.ok(commands.length >= 9, `only ${commands.length}`)
    assert.ok(blocks.filter(({ file }) => file !== '').length >= 4)
    assert.deepEqual(
      blocks.filter(({ language }) => !['console', 'csv', 'yaml', 'text'].includes(language)),
      [],
    )
  })
  let code = 0
  for (const [index, { language, file, text }] of blocks.entries()) {
    if (file !== '') {
      it(`writes ${file} (block ${index + 1})`, () => {
        mkdirSync(dirname(file), { recursive: true })
        writeFileSync(file, text)
      })
    } else if (language === 'console') {
      for (const step of text.split(/^\$ /m).slice(1)) {
        const [line = '', ...output] = step.split('\n')
        it(`$ ${line}`, async () => {
          const expected = output.join('\n')
          if (line === 'echo $?') return assert.equal(expected, `${code}\n`)
          const ran = await bailiwick(line)
          code = ran.code
          assert.equal(ran.text, expected)
        })
      }
    } else if (language === 'csv') {
      it(`has rows that are understood (block ${index + 1})`, () => {
        const parsed = parsePolicy([{ name: 'p.csv', text }])
        const unknown = parsed.ok ? [] : parsed.error.filter((problem) => !problem.includes('is granted nothing'))
        assert.deepEqual(unknown, [])
      })
    }
  }
})

describe('the tables of docs/policy.md', () => {
  it('have every action', () => {
    assert.deepEqual(
      tableOf('### Actions').flatMap(([names = '']) => bare(names).split(', ')),
      actions,
    )
  })
  it('have every limit', () => {
    assert.deepEqual(
      tableOf('## Limits').map(([name]) => bare(name)),
      limitNames,
    )
  })
  for (const [metric = '', own = '', destination = ''] of tableOf('### What each view shows')) {
    it(`say what ${bare(metric)} becomes under each view`, async () => {
      for (const [view, cell] of [['own', own] as const, ['destination', destination] as const]) {
        writeFileSync('views.csv', `p, group:a, *, query, namespace=books, allow, view=${view}\n`)
        const { text } = await bailiwick(
          `bailiwick policy explain --rules views.csv --as group:a --query ${bare(metric)}`,
        )
        assert.equal(/^ {2}sent {3}(.*)$/m.exec(text)?.[1], bare(cell))
      }
    })
  }
  const refusals = tableOf('## What check refuses')
  for (const [row = '', problem = ''] of refusals) {
    it(`say why ${bare(row)} is refused`, async () => {
      const loaded = await loadPolicy(model, [{ name: 'policy.csv', text: bare(row).replaceAll(' ⏎ ', '\n') }])
      assert.ok(!loaded.ok, 'it is not')
      assert.deepEqual(loaded.error, [bare(problem)])
    })
  }
  const warnings = tableOf('## What check warns of')
  for (const [row = '', problem = ''] of warnings) {
    it(`say what is odd about ${bare(row)}`, () => {
      const parsed = parsePolicy([{ name: 'policy.csv', text: bare(row).replaceAll(' ⏎ ', '\n') }])
      assert.ok(parsed.ok, JSON.stringify(parsed))
      assert.deepEqual(lint(parsed.value).warnings, [bare(problem)])
    })
  }
  it('have enough of both', () => assert.ok(refusals.length >= 15 && warnings.length >= 2))
  it('name the numbers that the code has', () => {
    assert.ok(page.includes(`at most ${maxRoleDepth} deep`))
    assert.ok(page.includes(`at most ${maxRules.toLocaleString('en').replace(',', ' ')} rows`))
  })
  for (const [command = '', keys = ''] of tableOf('### What --json prints')) {
    it(`say what ${bare(command)} --json prints`, async () => {
      const { text } = await bailiwick(`${bare(command)} --json`)
      const printed: unknown = JSON.parse(text)
      assert.deepEqual(
        Object.keys(Object(printed)),
        [...keys.matchAll(/`([^`]+)`/g)].map(([, key]) => key),
      )
    })
  }
})

describe('the workflow of docs/policy.md', () => {
  const found = blocks.find(({ file }) => file.includes('workflows/'))
  const workflow: unknown = parse(found?.text ?? '')
  const steps: readonly { readonly run?: string }[] = Object(workflow).jobs?.policy?.steps ?? []
  const shell = (run: string): number | null =>
    spawnSync('sh', ['-c', run], {
      cwd: scratch,
      env: { BAILIWICK: `${process.execPath} ${join(root, 'src/main.ts')}` },
      encoding: 'utf8',
      timeout: 60_000,
    }).status
  const runs = steps.flatMap(({ run }) => run ?? [])
  it('runs check, test and diff', () => {
    assert.deepEqual(
      runs.map((run) => /policy (\w+)/.exec(run)?.[1]),
      ['check', 'test', 'diff'],
    )
  })
  for (const run of runs) {
    it(`is content with ${run.trim()}`, () => assert.equal(shell(run), 0))
  }
  it('is not content with a policy that is broken or too wide', () => {
    const file = join(scratch, 'policies/policy.csv')
    const good = readFileSync(file, 'utf8')
    writeFileSync(file, `${good}p, group:books-developers, *, query, namespace=*, Allow\n`)
    assert.deepEqual(runs.map(shell), [1, 1, 1])
    writeFileSync(file, `${good}p, role:books, *, query, namespace=*, allow, view=own\n`)
    assert.equal(shell(runs[1] ?? ''), 1)
    writeFileSync(file, good)
  })
  it('needs no other program', () => {
    for (const run of runs) assert.match(run, /^\$BAILIWICK policy /)
  })
})
