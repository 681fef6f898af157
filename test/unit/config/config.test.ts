// What a configuration file may say, and the sentence for everything that it may not.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/config.ts'
import type { Config } from '../../../src/config/config.ts'

const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-config-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const minimal = `
clusters:
  - name: east
    prometheus:
      url: http://prometheus:9090
identity:
  issuers:
    - issuer: https://id.example.org
      audience: [bailiwick]
policy: { model: model.conf, rules: [policy.csv] }
audit: { directory: audit }
`
/** The smallest file with one place changed. */
function swap(old: string, now: string): string {
  assert.equal(minimal.split(old).length, 2, `"${old}" must be in the file once`)
  return minimal.replace(old, () => now)
}
const size = 'must be a size such as 512KiB, 64MiB or 10GiB'
const url = 'url: http://prometheus:9090'
const prometheus = (...lines: string[]): string => swap(url, [url, ...lines].join('\n      '))
const oneIssuer = (line: string): string => swap('audience: [bailiwick]', `audience: [bailiwick]\n      ${line}`)

type Variables = Readonly<Record<string, string>>
function read(text: string, variables: Variables = {}): ReturnType<typeof loadConfig> {
  const file = join(scratch, 'bailiwick.yaml')
  writeFileSync(file, text)
  return loadConfig(file, variables)
}
function problemsOf(text: string, variables?: Variables): readonly string[] {
  const config = read(text, variables)
  return config.ok ? [] : config.error
}
function configOf(text: string, variables?: Variables): Config {
  const config = read(text, variables)
  assert.ok(config.ok, JSON.stringify(config))
  return config.value
}

const noSuch = 'there is no such setting: see docs/configuration.md for the names'
const settings = 'must be settings, each on a line of its own as "name: value"'
const bare = 'must be a URL without a user name, password, query or fragment'
const webAddress = 'must be an http or https URL such as https://example.org'
const duration = 'must be a duration such as 500ms, 30s, 2m or 1h'
const address = 'must be host:port, for example 127.0.0.1:9080 or 0.0.0.0:9080'
const token = 'must be a bearer token: letters, digits and -._~+/ with = at its end only'
const secure = 'must be https; plain http only on this machine (localhost, 127.0.0.1, [::1])'
const clusterName = 'must be a name of a-z, 0-9 and -, at most 63 characters'
const clusterUrl = 'clusters[0].prometheus.url'
const bearerToken = 'clusters[0].prometheus.bearerToken'

describe('a configuration is refused with its key, what is wrong and the remedy:', () => {
  const refused: readonly (readonly [what: string, text: string, ...problems: string[]])[] = [
    ['an unknown key', `${minimal}adress: x\n`, `adress: ${noSuch}`],
    ['an unknown nested key', prometheus('timeuot: 1s'), `clusters[0].prometheus.timeuot: ${noSuch}`],
    ['a name of every object', `${minimal}toString: x\n`, `toString: ${noSuch}`],
    ['a prototype', `${minimal}__proto__: { listen: '[::]:1' }\n`, `__proto__: ${noSuch}`],
    ['a merge key', `${minimal}<<: { listen: '[::]:1' }\n`, `<<: ${noSuch}`],
    ['a lone _file', `${minimal}_file: x\n`, `_file: ${noSuch}`],
    ['a missing section', swap('audit: { directory: audit }', ''), `audit: is missing: ${settings}`],
    ['a missing setting', swap('directory: audit', ''), 'audit.directory: is missing: must be a text'],
    ['a missing URL', swap(url, 'timeout: 1s'), `${clusterUrl}: is missing: ${webAddress}`],
    ['a section without settings', swap('audit: { directory: audit }', 'audit:'), `audit: ${settings}`],
    ['a number for a text', swap('directory: audit', 'directory: 1'), 'audit.directory: must be a text'],
    ['a text for a list', swap('[policy.csv]', 'policy.csv'), 'policy.rules: must be a list'],
    ['an empty entry', swap('[policy.csv]', '[~]'), 'policy.rules[0]: must be a text'],
    ['an empty text', swap('directory: audit', "directory: ''"), 'audit.directory: must not be empty'],
    ['no rules', swap('[policy.csv]', '[]'), 'policy.rules: must name at least one file'],
    [
      'an audit mode that is none',
      swap('directory: audit', 'directory: audit, mode: off'),
      'audit.mode: must be required or best-effort',
    ],
    [
      'a size without a unit',
      swap('directory: audit', 'directory: audit, rotate: { size: 100 }'),
      `audit.rotate.size: ${size}`,
    ],
    [
      'watermarks that are the wrong way round',
      swap('directory: audit', 'directory: audit, disk: { warn: 96% }'),
      'audit.disk.warn: must be less than audit.disk.refuse',
    ],
    ['no audience', swap('[bailiwick]', '[]'), 'identity.issuers[0].audience: must name at least one audience'],
    ['an empty audience', swap('[bailiwick]', "['']"), 'identity.issuers[0].audience[0]: must not be empty'],
    ['no algorithm', oneIssuer('algorithms: []'), 'identity.issuers[0].algorithms: must name at least one algorithm'],
    [
      'a symmetric algorithm',
      oneIssuer('algorithms: [RS256, HS256]'),
      'identity.issuers[0].algorithms[1]: must be an asymmetric signature algorithm such as RS256 or ES256',
    ],
    ['a log level', `${minimal}log: { level: trace }\n`, 'log.level: must be debug, info, warn or error'],
    ['a cluster name', swap('name: east', 'name: East'), `clusters[0].name: ${clusterName}`],
    ['a long cluster name', swap('name: east', `name: ${'a'.repeat(64)}`), `clusters[0].name: ${clusterName}`],
    ['a URL that is none', swap(url, 'url: prometheus:9090'), `${clusterUrl}: ${webAddress}`],
    ['another protocol', swap(url, 'url: ftp://prometheus'), `${clusterUrl}: ${webAddress}`],
    ['a user name in a URL', swap(url, 'url: http://me@prometheus'), `${clusterUrl}: ${bare}`],
    ['a password in a URL', swap(url, 'url: http://:pw@prometheus'), `${clusterUrl}: ${bare}`],
    ['a query in a URL', swap(url, 'url: http://prometheus/?a=b'), `${clusterUrl}: ${bare}`],
    ['an empty query', swap(url, 'url: http://prometheus/?'), `${clusterUrl}: ${bare}`],
    ['a fragment in a URL', `${minimal}publicUrl: 'https://example.org/#a'\n`, `publicUrl: ${bare}`],
    ['a bearer token', prometheus("bearerToken: 'two words'"), `${bearerToken}: ${token}`],
    ['an empty bearer token', prometheus("bearerToken: ''"), `${bearerToken}: ${token}`],
    ['a bearer token with a line break', prometheus('bearerToken: "abc\\n"'), `${bearerToken}: ${token}`],
    ['a port above 65535', `${minimal}listen: 127.0.0.1:65536\n`, 'listen: the port must be at most 65535'],
    ['an address without a port', `${minimal}listen: localhost\n`, `listen: ${address}`],
    ['an address without a host', `${minimal}admin: ':9081'\n`, `admin: ${address}`],
    ['an IPv6 host without brackets', `${minimal}admin: '::1:9081'\n`, `admin: ${address}`],
    ['a port alone', `${minimal}listen: 9080\n`, `listen: ${address}`],
    [
      'admin = listen',
      `${minimal}listen: 0.0.0.0:1\nadmin: 0.0.0.0:1\n`,
      'admin: must not be the same address as listen: choose another port',
    ],
    ['a duration without a unit', `${minimal}shutdown: { grace: 30 }\n`, `shutdown.grace: ${duration}`],
    ['a fraction', `${minimal}shutdown: { grace: 1.5s }\n`, `shutdown.grace: ${duration}`],
    ['two units', `${minimal}shutdown: { grace: 1h30m }\n`, `shutdown.grace: ${duration}`],
    ['a negative duration', `${minimal}shutdown: { grace: -1s }\n`, `shutdown.grace: ${duration}`],
    [
      'a longer time than a timer can wait',
      `${minimal}shutdown: { grace: 597h }\n`,
      'shutdown.grace: must be at most 596h',
    ],
    ['a timeout of nothing', prometheus('timeout: 0s'), 'clusters[0].prometheus.timeout: must be longer than 0'],
    [
      'two clusters of one name',
      swap('  - name: east', '  - { name: east, prometheus: { url: http://other } }\n  - name: east'),
      'clusters[1].name: is the name of clusters[0] already: choose another',
    ],
    [
      'one issuer twice',
      swap('    - issuer:', '    - { issuer: https://id.example.org, audience: [b] }\n    - issuer:'),
      'identity.issuers[1].issuer: is identity.issuers[0] again: merge the two',
    ],
    ['a list instead of settings', '- 1\n', `the file: ${settings}`],
    ['a word instead of settings', 'word\n', `the file: ${settings}`],
  ]
  for (const [what, text, ...problems] of refused) {
    it(what, () => assert.deepEqual(problemsOf(text), problems))
  }

  it('all problems at once, in the order of the keys', () => {
    const text = `${minimal.replace(url, 'url: x').replace('[policy.csv]', '[]')}admin: y\nlog: { level: z }\n`
    assert.deepEqual(
      problemsOf(text).map((problem) => problem.split(': ')[0]),
      ['admin', clusterUrl, 'policy.rules', 'log.level'],
    )
  })
  it('an empty file, whose missing sections are all named', () => {
    for (const text of ['', '# nothing\n', '---\n']) {
      assert.deepEqual(
        problemsOf(text).map((problem) => problem.split(': is missing: ')[0]),
        ['clusters', 'identity', 'policy', 'audit'],
      )
    }
  })
  it('a file that is not there', () => {
    const missing = join(scratch, 'missing.yaml')
    const config = loadConfig(missing, {})
    assert.ok(!config.ok)
    assert.deepEqual(config.error, [`ENOENT: no such file or directory, open '${missing}': check --config`])
  })
})

describe('what is not YAML as it is meant', () => {
  const secret = 'hunter2'
  const manyTimes = [
    `a: &a [${secret}]`,
    ...['ba', 'cb', 'dc'].map(([name, of]) => `${name}: &${name} [${Array(10).fill(`*${of}`).join(', ')}]`),
  ].join('\n')
  const broken: readonly (readonly [what: string, text: string, place: string])[] = [
    ['an open quotation', `a: "${secret}\n`, 'line 2, column 1: not YAML as it is meant here (MISSING_CHAR)'],
    ['an unknown escape', `a: "\\q ${secret}"\n`, 'line 1, column 5: not YAML as it is meant here (BAD_DQ_ESCAPE)'],
    [
      'an unknown tag',
      `a: 1\nb: !env ${secret}\n`,
      'line 2, column 4: not YAML as it is meant here (TAG_RESOLVE_FAILED)',
    ],
    ['a key twice', `a: ${secret}\na: ${secret}\n`, 'line 2, column 1: not YAML as it is meant here (DUPLICATE_KEY)'],
    [
      'a second document',
      `a: 1\n---\nb: ${secret}\n`,
      'line 2, column 1: not YAML as it is meant here (MULTIPLE_DOCS)',
    ],
    ['an alias without an anchor', `a: *${secret}\n`, 'an alias (*name)'],
    ['an alias inside its own anchor', `a: &${secret} [*${secret}]\n`, 'an alias (*name)'],
    ['aliases that multiply', manyTimes, 'an alias (*name)'],
  ]
  for (const [what, text, start] of broken) {
    it(`is refused without quoting the line: ${what}`, () => {
      const problems = problemsOf(text)
      assert.equal(problems.length, 1)
      assert.ok(problems[0]?.startsWith(start), problems[0])
      assert.match(problems[0] ?? '', /: (mend that place|write the value out)$/)
      assert.ok(!problems[0]?.includes(secret), problems[0])
    })
  }
})

describe('an issuer', () => {
  const accepted = (issuer: string): readonly string[] => problemsOf(swap('https://id.example.org', issuer))
  for (const issuer of [
    'https://id.example.org/realms/staff',
    'http://localhost',
    'http://localhost:8080/realms/a',
    'http://127.0.0.1',
    'http://127.0.0.1:8080',
    'http://127.9.9.9',
    "'http://[::1]'",
    "'http://[::1]:8080'",
  ]) {
    it(`may be ${issuer}`, () => assert.deepEqual(accepted(issuer), []))
  }
  for (const issuer of [
    'http://id.example.org',
    'http://localhost.example.org',
    'http://127.0.0.1.example.org',
    'http://128.0.0.1',
    'http://0.0.0.0',
    "'http://[::]:8080'",
  ]) {
    it(`may not be ${issuer}`, () => {
      assert.deepEqual(accepted(issuer), [`identity.issuers[0].issuer: ${secure}`])
    })
  }
})

describe('what is read', () => {
  it('has the defaults where nothing is said', () => {
    assert.deepEqual(configOf(minimal), {
      publicUrl: null,
      listen: { host: '127.0.0.1', port: 9080 },
      admin: { host: '127.0.0.1', port: 9081 },
      trustedProxies: [],
      clusters: [{ name: 'east', notices: true, prometheus: { url: 'http://prometheus:9090', timeout: 130_000 } }],
      issuers: [
        {
          issuer: 'https://id.example.org',
          audience: ['bailiwick'],
          clientIds: [],
          algorithms: ['RS256', 'ES256'],
          acceptIdTokens: false,
          groupsClaim: 'groups',
          groupPrefix: '',
          maxAge: 86_400,
          clockTolerance: 30,
        },
      ],
      cli: null,
      login: null,
      datasources: [],
      mesh: null,
      policy: {
        model: join(scratch, 'model.conf'),
        rules: [join(scratch, 'policy.csv')],
        profile: 'linkerd',
        reload: 30_000,
      },
      audit: {
        directory: join(scratch, 'audit'),
        mode: 'required',
        rotate: { bytes: 256 * 1024 ** 2, ms: 86_400_000 },
        disk: { warn: 0.7, refuse: 0.95, reserveBytes: 32 * 1024 ** 2 },
        checkpoints: { key: null, previousKey: null, copyTo: null, every: 1_000, idle: 60_000 },
        retention: { keepMs: null, maxBytes: null, compress: true, hold: false, everyMs: 60_000 },
        review: { index: join(scratch, 'audit/index'), memoryBytes: 512 * 1024 ** 2, threads: 2 },
        sinks: [],
      },
      log: { level: 'info' },
      shutdown: { grace: 25_000 },
    })
  })
  it('begins relative paths at its own directory, also when its own path is relative', () => {
    writeFileSync(join(scratch, 'relative.yaml'), swap('[policy.csv]', '[../a.csv, /etc/b.csv]'))
    const config = loadConfig(relative(process.cwd(), join(scratch, 'relative.yaml')), {})
    assert.ok(config.ok)
    assert.deepEqual(config.value.policy.rules, [join(scratch, '../a.csv'), '/etc/b.csv'])
  })
  it('has IPv6 hosts without brackets', () => {
    const { listen, admin } = configOf(`${minimal}listen: '[::]:0'\nadmin: '[fe80::1]:65535'\n`)
    assert.deepEqual({ listen, admin }, { listen: { host: '::', port: 0 }, admin: { host: 'fe80::1', port: 65_535 } })
  })
  it('may have port 0 twice, as the system gives two', () => {
    assert.deepEqual(problemsOf(`${minimal}listen: localhost:0\nadmin: localhost:0\n`), [])
  })
  it('has durations in milliseconds, and clockTolerance in seconds', () => {
    for (const [written, milliseconds] of [
      ['0s', 0],
      ['500ms', 500],
      ['30s', 30_000],
      ['2m', 120_000],
      ['596h', 2_145_600_000],
    ] as const) {
      assert.equal(configOf(`${minimal}shutdown: { grace: ${written} }\n`).shutdown.grace, milliseconds)
      assert.equal(configOf(oneIssuer(`clockTolerance: ${written}`)).issuers[0]?.clockTolerance, milliseconds / 1000)
    }
  })
  it('has publicUrl without a slash at its end, and with its path', () => {
    assert.equal(
      configOf(`${minimal}publicUrl: https://example.org/metrics//\n`).publicUrl,
      'https://example.org/metrics',
    )
  })
})

describe('a secret', () => {
  const fromFile = prometheus('bearerToken_file: token')
  const tokenOf = (text: string, variables?: Variables): string | undefined =>
    configOf(text, variables).clusters[0]?.prometheus.bearerToken

  it('may come from the environment, whole or in part', () => {
    assert.equal(tokenOf(prometheus('bearerToken: ${TOKEN}'), { TOKEN: 'abc' }), 'abc')
    assert.equal(tokenOf(prometheus('bearerToken: a${ONE}b${_two}c'), { ONE: '1', _two: '2' }), 'a1b2c')
  })
  it('of the environment is taken to the letter', () => {
    const variables = { TOKEN: '${OTHER}$&', OTHER: 'no' }
    assert.deepEqual(configOf(swap('[bailiwick]', '["${TOKEN}"]'), variables).issuers[0]?.audience, ['${OTHER}$&'])
  })
  it('that is not set is told of once, and not as a wrong value', () => {
    assert.deepEqual(problemsOf(swap(url, 'url: ${URL}')), [
      `${clusterUrl}: the environment variable URL is not set: set it, or write the value here`,
    ])
  })
  it('is no property that every object has', () => {
    for (const name of ['toString', '__proto__', 'constructor']) {
      assert.deepEqual(problemsOf(prometheus(`bearerToken: \${${name}}`)), [
        `${bearerToken}: the environment variable ${name} is not set: set it, or write the value here`,
      ])
    }
  })
  it('may come from a file beside the configuration, to the letter but for one line break', () => {
    for (const [content, expected] of [
      ['abc', 'abc'],
      ['abc\n', 'abc'],
      ['abc\r\n', 'abc'],
    ] as const) {
      writeFileSync(join(scratch, 'token'), content)
      assert.equal(tokenOf(fromFile), expected)
    }
    for (const content of ['abc\n\n', ' abc', 'abc ', '${TOKEN}']) {
      writeFileSync(join(scratch, 'token'), content)
      assert.deepEqual(problemsOf(fromFile, { TOKEN: 'abc' }), [`${bearerToken}: ${token}`])
    }
  })
  it('of a file keeps ${NAME} as it is', () => {
    writeFileSync(join(scratch, 'prefix'), '${TOKEN}:')
    assert.equal(configOf(oneIssuer('groupPrefix_file: prefix'), { TOKEN: 'x' }).issuers[0]?.groupPrefix, '${TOKEN}:')
  })
  it('may be in a file whose path comes from the environment', () => {
    writeFileSync(join(scratch, 'token'), 'abc')
    assert.equal(tokenOf(prometheus('bearerToken_file: ${DIR}/token'), { DIR: scratch }), 'abc')
  })
  it('may not be given twice', () => {
    writeFileSync(join(scratch, 'token'), 'abc')
    assert.deepEqual(problemsOf(prometheus('bearerToken: abc', 'bearerToken_file: token')), [
      `${bearerToken}_file: the setting is given twice, with and without _file: keep one`,
    ])
  })
  it('whose file cannot be read is told of without its path, which might be the secret itself', () => {
    mkdirSync(join(scratch, 'directory'), { recursive: true })
    for (const [path, code] of [
      ['eyJhbGciOiJub25lIn0', 'ENOENT'],
      ['directory', 'EISDIR'],
    ] as const) {
      assert.deepEqual(problemsOf(prometheus(`bearerToken_file: ${path}`)), [
        `${bearerToken}_file: the file cannot be read (${code}): check the path and its mode`,
      ])
    }
  })
  it('whose file is no path', () => {
    assert.deepEqual(problemsOf(prometheus('bearerToken_file: 5')), [`${bearerToken}_file: must be the path of a file`])
  })

  it('is in no message, wherever it stands and whatever form it has', () => {
    const secret = fc
      .tuple(fc.constantFrom('https://id/', 'hunter', '127.0.0.1:', '${', '"', 'east'), fc.string({ minLength: 1 }))
      .map(([start, end]) => `${start}S3CR3T${end.replaceAll('\0', '')}`)
    const written = fc.constantFrom('plain', 'variable', 'file', 'path')
    // Every text setting can be wrong through it; the two that must differ from each other have it twice.
    const build = (value: string, suffix: string) => ({
      [`publicUrl${suffix}`]: value,
      [`listen${suffix}`]: value,
      clusters: [1, 2].map(() => ({
        [`name${suffix}`]: value,
        prometheus: { [`url${suffix}`]: value, [`timeout${suffix}`]: value, [`bearerToken${suffix}`]: value },
      })),
      identity: { issuers: [1, 2].map(() => ({ [`issuer${suffix}`]: value, audience: value, algorithms: [value] })) },
      policy: { model: 'model.conf', rules: value },
      audit: value,
      log: { [`level${suffix}`]: value },
      shutdown: { [`grace${suffix}`]: value },
    })
    fc.assert(
      fc.property(secret, written, (value, how) => {
        // Written in the file itself, this would be the name of a variable.
        fc.pre(how === 'variable' || how === 'file' || !value.startsWith('${'))
        writeFileSync(join(scratch, 'secret'), value)
        const text = { plain: value, variable: '${SECRET}', file: 'secret', path: value }[how]
        const suffix = how === 'file' || how === 'path' ? '_file' : ''
        const problems = problemsOf(stringify(build(text, suffix)), { SECRET: value })
        assert.ok(problems.length > 5)
        assert.ok(!problems.join('\n').includes('S3CR3T'), problems.join('\n'))
      }),
      { numRuns: 150 },
    )
  })
  it('is in no message when it is the name of two clusters or the URL of two issuers', () => {
    const two = swap('  - name: east', '  - { name: s3cr3t, prometheus: { url: http://other } }\n  - name: s3cr3t')
    const issuers = two.replace('    - issuer:', '    - { issuer: "https://s3cr3t", audience: [b] }\n    - issuer:')
    const problems = problemsOf(issuers.replace('https://id.example.org', 'https://s3cr3t'))
    assert.equal(problems.length, 2)
    assert.ok(!problems.join('\n').includes('s3cr3t'))
  })
})
