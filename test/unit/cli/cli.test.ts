// The command line as people type it: the program is started for each.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, it } from 'node:test'
import { commands, help } from '../../../src/cli/cli.ts'

const root = resolve(import.meta.dirname, '../../..')
const example = join(root, 'docs/examples/bailiwick.yaml')
const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-cli-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}
function run(...args: string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'src/main.ts'), ...args], {
    cwd: scratch,
    encoding: 'utf8',
    env: {},
    timeout: 60_000,
  })
  return { code: status, out: stdout, err: stderr }
}
function fileOf(name: string, text: string): string {
  writeFileSync(join(scratch, name), text)
  return name
}
const names = Object.keys(commands)
const configured = ['serve', 'check-config']

describe('help', () => {
  it('is printed by --help and -h', () => {
    for (const flag of ['--help', '-h']) assert.deepEqual(run(flag), { code: 0, out: help, err: '' })
  })
  it('lists every command and no other', () => {
    const [, list = ''] = help.split('Commands:\n')
    const listed = (list.split('\n\n')[0] ?? '').split('\n').map((line) => line.trim().split(' ')[0])
    assert.deepEqual(listed, names)
  })
  it('on standard error, with exit code 2, is the answer to no command', () => {
    assert.deepEqual(run(), { code: 2, out: '', err: help })
  })
  for (const [name, command] of Object.entries(commands)) {
    it(`of ${name} is printed by ${name} --help, also between its options`, () => {
      for (const args of [['--help'], ['--config', 'x', '-h']]) {
        assert.deepEqual(run(name, ...args), { code: 0, out: command.help, err: '' })
      }
    })
    it(`of ${name} begins with its usage and names the options that it takes, and no other`, () => {
      assert.ok(command.help.startsWith(`Usage: bailiwick ${name} `))
      const named = [...command.help.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, option]) => option)
      assert.deepEqual(named, Object.keys(command.options))
    })
  }
  for (const name of configured) {
    it(`of ${name} is true: bailiwick.yaml is the default`, () => {
      const { code, out, err } = run(name)
      assert.deepEqual({ code, out }, { code: 1, out: '' })
      assert.match(err, /^bailiwick\.yaml: one problem\n {2}ENOENT: .*bailiwick\.yaml': check --config\n$/)
    })
  }
})

describe('the version', () => {
  it('is that of package.json', () => {
    const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    for (const flag of ['--version', '-V']) {
      assert.deepEqual(run(flag), { code: 0, out: `${Object(manifest).version}\n`, err: '' })
    }
  })
})

describe('what is not understood is said, with the help and exit code 2:', () => {
  const refused: readonly (readonly [line: string, says: string])[] = [
    ['start', 'there is no command "start"'],
    ['start --help', 'there is no command "start"'],
    ['toString', 'there is no command "toString"'],
    ['--config x', 'there is no command "--config"'],
    ['-x', 'there is no command "-x"'],
    ['serve now please', '"now please" is more than this command takes'],
    ['check-config x.yaml', '"x.yaml" is more than this command takes'],
    ['serve --port 80', "Unknown option '--port'"],
    ['check-config --version', "Unknown option '--version'"],
    ['serve --config', "Option '--config <value>' argument missing"],
    ['explain up', "whose scope? Give --scope, such as --scope namespace=a,b or --scope '*'"],
    ['explain --scope a=b', 'which expression? Give it as one word, in quotes'],
    ['explain --scope a=b sum up', '"up" is more than this command takes'],
    ['explain --scope a up', '"a" is not LABEL=PATTERN[,PATTERN]..., such as namespace=a,b'],
  ]
  for (const [line, says] of refused) {
    it(line, () => {
      const args = line.split(' ')
      const [name = ''] = args
      const text = Object.hasOwn(commands, name) ? commands[name]?.help : help
      assert.deepEqual(run(...args), { code: 2, out: '', err: `${says}\n\n${text}` })
    })
  }
})

describe('check-config', () => {
  it('prints what is in force', () => {
    const { code, out, err } = run('check-config', '--config', example)
    assert.deepEqual({ code, err }, { code: 0, err: '' })
    assert.equal(
      out.replace(/sha256:[0-9a-f]{64}$/m, 'DIGEST'),
      `${example}: ok
  clients  127.0.0.1:9080
  admin    127.0.0.1:9081
  cluster  https://metrics.example.org/clusters/east → http://prometheus.linkerd-viz.svc.cluster.local:9090
  cluster  https://metrics.example.org/clusters/west → https://prometheus.west.example.org/prometheus
  issuer   https://id.example.org/realms/staff for bailiwick
  policy   4 rules, DIGEST
  audit    /var/lib/bailiwick/audit
`,
    )
  })
  it('takes listen where there is no publicUrl, an IPv6 host in brackets', () => {
    const file = fileOf('ipv6.yaml', `${minimal('policy.csv')}listen: '[::1]:9080'\n`)
    fileOf('policy.csv', '')
    const { code, out } = run('check-config', `--config=${file}`)
    assert.equal(code, 0)
    assert.match(out, /^ {2}clients {2}\[::1\]:9080$/m)
    assert.match(out, /^ {2}cluster {2}http:\/\/\[::1\]:9080\/clusters\/east → http:\/\/prometheus$/m)
    assert.match(out, /^ {2}policy {3}0 rules, sha256:/m)
  })
  it('reads bailiwick.yaml where no file is named', () => {
    fileOf('policy.csv', '')
    fileOf('bailiwick.yaml', minimal('policy.csv'))
    const { code, out } = run('check-config')
    rmSync(join(scratch, 'bailiwick.yaml'))
    assert.equal(code, 0)
    assert.match(out, /^bailiwick\.yaml: ok\n/)
  })

  const broken: readonly (readonly [what: string, name: string, text: string, err: string])[] = [
    [
      'an empty file',
      'empty.yaml',
      '',
      `empty.yaml: 4 problems
  clusters: is missing: must be a list
  identity: is missing: must be settings, each on a line of its own as "name: value"
  policy: is missing: must be settings, each on a line of its own as "name: value"
  audit: is missing: must be settings, each on a line of its own as "name: value"
`,
    ],
    [
      'bad YAML',
      'bad.yaml',
      'listen: "s3cr3t',
      'bad.yaml: one problem\n  line 1, column 16: not YAML as it is meant here (MISSING_CHAR): mend that place\n',
    ],
    [
      'a misspelt setting',
      'misspelt.yaml',
      `${minimal('policy.csv')}lisen: 127.0.0.1:1\n`,
      'misspelt.yaml: one problem\n  lisen: there is no such setting: see docs/configuration.md for the names\n',
    ],
  ]
  for (const [what, name, text, err] of broken) {
    it(`refuses ${what}`, () => {
      assert.deepEqual(run('check-config', '--config', fileOf(name, text)), { code: 1, out: '', err })
    })
    it(`serve refuses it likewise: ${what}`, () => {
      assert.deepEqual(run('serve', '--config', fileOf(name, text)), { code: 1, out: '', err })
    })
  }
  for (const command of configured) {
    it(`${command} names the file and line of a rule that is not understood`, () => {
      fileOf(
        'rules.csv',
        '# a comment\np, group:a, *, query, namespace=a, allow\np, group:a, *, query, namespace=b, alow\n',
      )
      assert.deepEqual(run(command, '--config', fileOf('rules.yaml', minimal('rules.csv'))), {
        code: 1,
        out: '',
        err: 'rules.yaml: one problem\n  rules.csv:3: the effect "alow" is neither allow nor deny\n',
      })
    })
    it(`${command} says which policy file cannot be read`, () => {
      const { code, out, err } = run(command, '--config', fileOf('absent.yaml', minimal('absent.csv')))
      assert.deepEqual({ code, out }, { code: 1, out: '' })
      assert.match(
        err,
        /^absent\.yaml: one problem\n {2}the policy cannot be read: ENOENT: .*absent\.csv': check policy\.model and policy\.rules\n$/,
      )
    })
  }
})

describe('explain', () => {
  it('prints what a query becomes', () => {
    const { code, out, err } = run('explain', '--scope', 'namespace=a', 'sum(up{b="c"})')
    assert.deepEqual({ code, err }, { code: 0, err: '' })
    assert.match(out, /^asked {2}sum\(up\{b="c"\}\)\nsent {3}sum\(up\{namespace=~"a",b="c"\}\)\n/)
  })
  it('fails on a query that is none, and says where on standard error', () => {
    const { code, out, err } = run('explain', '--scope', 'namespace=a', 'sum(up')
    assert.deepEqual({ code, out }, { code: 1, out: '' })
    assert.match(err, /\n {2}sum\(up\n {8}\^\n$/)
  })
})

function minimal(rules: string): string {
  return `clusters: [{ name: east, prometheus: { url: http://prometheus } }]
identity: { issuers: [{ issuer: https://id.example.org, audience: [bailiwick] }] }
policy: { model: '${root}/policies/model.conf', rules: [${rules}] }
audit: { directory: audit }
`
}
