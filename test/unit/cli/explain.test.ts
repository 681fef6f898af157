import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runCommand } from '../../../src/cli/cli.ts'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function explain(args: readonly string[], lines: readonly string[] = []): Promise<Ran> {
  let out = ''
  let err = ''
  const code = await runCommand(['explain', ...args], {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    async *lines() {
      yield* lines
    },
  })
  return { code, out, err }
}

const sentOf = ({ out }: Ran): string => /^sent {3}(.*)$/m.exec(out)?.[1] ?? ''

describe('explain', () => {
  it('knows several ways in, and what is denied beside each', async () => {
    const ran = await explain([
      '--scope',
      'namespace=team-*',
      '--deny',
      'namespace=team-x',
      '--alternative',
      'job=a,b',
      'up',
    ])
    assert.equal(ran.code, 0)
    assert.equal(sentOf(ran), '(up{namespace=~"team-.*",namespace!~"team-x"} or up{job=~"a|b"})')
    assert.match(ran.out, /^type {3}vector\nreads {2}up$/m)
  })
  it('prints anew under every series', async () => {
    assert.equal(sentOf(await explain(['--scope', '*', 'sum   (up)by(x)'])), 'sum by (x) (up{})')
  })
  it('tells what the caller would be told', async () => {
    const ran = await explain(['--scope', 'namespace=a', '--alternative', 'job=b', 'up[5m]'])
    assert.match(ran.out, /^note {3}a range selector on its own/m)
  })
  it('reads and writes JSON, a line for a line, and fails if one was refused', async () => {
    const ran = await explain(['--scope', 'namespace=a', '--ndjson'], ['"up"', '', '"sun(up)"', 'up', '7', '"a\\"b"'])
    assert.equal(ran.code, 1)
    const rows: unknown[] = ran.out
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
    assert.deepEqual(rows[0], {
      asked: 'up',
      sent: 'up{namespace=~"a"}',
      selectors: [{ metric: 'up', matchers: [] }],
      notes: [],
    })
    assert.deepEqual(
      rows.slice(1).map((row) => Reflect.get(Object(Reflect.get(Object(row), 'error')), 'reason')),
      ['unknown_name', 'input', 'input', 'syntax'],
    )
    assert.deepEqual(Object.keys(Object(Reflect.get(Object(rows[1]), 'error'))), [
      'reason',
      'index',
      'length',
      'message',
    ])
    assert.equal((await explain(['--scope', 'namespace=a', '--ndjson'], ['"up"'])).code, 0)
  })
  it('knows which labels speak for a namespace, by profile and view', async () => {
    const ask = async (view: string, query: string, profile = 'linkerd'): Promise<string> =>
      sentOf(await explain(['--scope', 'namespace=books', '--profile', profile, '--view', view, query]))
    assert.equal(await ask('own', 'request_total'), 'request_total{namespace=~"books"}')
    assert.equal(await ask('destination', 'request_total'), 'request_total{dst_namespace=~"books"}')
    assert.match(
      await ask('destination', 'route_response_total'),
      /^route_response_total\{dst=~"\.\*\\\\\.books\\\\\.svc/,
    )
    assert.match(await ask('both', 'outbound_http_route_request_statuses_total'), /parent_namespace.*backend_namespace/)
    assert.match(await ask('destination', 'istio_requests_total', 'istio'), /destination_workload_namespace/)
  })
  for (const [args, words] of [
    [['up'], /whose scope\?/],
    [['--scope', 'namespace=a'], /which expression\?/],
    [['--scope', 'namespace=', 'up'], /is not LABEL=PATTERN/],
    [['--scope', '*', '--deny', 'a=b', 'up'], /nothing goes beside it/],
    [['--scope', 'a=b', '--deny', 'c=d', 'up'], /nothing is allowed for c/],
    [['--scope', 'a=b', '--ndjson', 'up'], /not both/],
    [['--scope', 'namespace=a', '--view', 'own', 'up'], /--view goes with --profile/],
    [['--scope', 'namespace=a', '--profile', 'envoy', 'up'], /there are linkerd and istio/],
    [['--scope', 'namespace=a', '--profile', 'istio', '--view', 'all', 'up'], /there are own, destination and both/],
    [['--scope', 'job=a', '--profile', 'istio', 'up'], /it knows the labels itself/],
  ] as const) {
    it(`does not understand ${args.join(' ')}`, async () => {
      const { code, out, err } = await explain(args)
      assert.deepEqual({ code, out }, { code: 2, out: '' })
      assert.match(err, words)
      assert.match(err, /Usage: bailiwick explain/)
    })
  }
  it('refuses a scope that could not be meant', async () => {
    const { code, err } = await explain(['--scope', 'namespace=a|b', 'up'])
    assert.equal(code, 1)
    assert.match(err, /the scope cannot be used/)
  })
})
