// Series whose namespaces are made to be mistaken for somebody else's. A real Prometheus holds them, and what somebody is
// shown is compared with the list that was written into it, not with what any parser of ours makes of the question.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { run } from '../../demo/parts/command.ts'
import { findPrometheus } from '../../demo/parts/prometheus-binary.ts'
import { startPrometheus } from '../../demo/parts/prometheus.ts'
import type { RunningPrometheus } from '../../demo/parts/prometheus.ts'
import { loadPolicy } from '../../src/policy/policy.ts'
import { rewriteQuery } from '../../src/promql/rewrite.ts'
import type { Scope } from '../../src/promql/rewrite.ts'
import { prometheus3, without3 } from '../judges/server.ts'
import { dataOf, send } from '../support/prometheus-answers.ts'
import type { ApiRequest } from '../support/prometheus-answers.ts'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

const cacheDir = fileURLToPath(new URL('../../.cache', import.meta.url))
const mine = 'emojivoto'
/** One series each; the empty one has no namespace. */
const namespaces = [
  ...[mine, '', 'emoji', 'emojivoto2', 'xemojivoto', 'emojivoto-prod', 'EMOJIVOTO', 'theirs', 'payments'],
  ...['emojivoto|theirs', 'emojivoto\\n', '\\nemojivoto', 'emojivoto ', 'emojivoto"', '.*', '.+', '(?i)emojivoto'],
  ...['team-a', 'team-a-x', 'team.a', 'teamxa', 'team-b', 'team-secret', 'team-secret\\nx', 'team-', 'eteam-a', 'é'],
]
const stored = namespaces.map((name) => name.replaceAll('\\n', '\n'))
const podOf = (index: number): string => `p${index}`
/** Now and for the next hour, since federation knows nothing else. */
const began = Math.floor(Date.now() / 60_000) * 60
const times = Array.from({ length: 66 }, (_, index) => began + (index - 5) * 60)

function exposition(): string {
  const lines = namespaces.flatMap((name, index) => {
    const label = name === '' ? '' : `namespace="${name.replaceAll('"', '\\"')}",`
    return times.map((time) => `secret{${label}pod="${podOf(index)}"} ${index} ${time}`)
  })
  return ['# TYPE secret gauge', ...lines, '# EOF', ''].join('\n')
}

/** The values of a label in any answer. */
const valuesOf = (text: string, label: string): readonly string[] =>
  [
    ...new Set(
      [...text.matchAll(new RegExp(`"${label}":("(?:[^"\\\\]|\\\\.)*")`, 'g'))].map(([, value]) => value ?? ''),
    ),
  ]
    .map((value) => String(JSON.parse(value)))
    .toSorted()
const podsOf = (text: string): readonly string[] => valuesOf(text, 'pod')
/** The pods of the series that a policy as written means: names and patterns, read here once more. */
const podsWhere = (holds: (namespace: string) => boolean): readonly string[] =>
  stored.flatMap((name, index) => (holds(name) ? [podOf(index)] : [])).toSorted()

for (const which of ['prometheus', 'prometheus3'] as const) {
  describe(`namespaces in ${which}`, { skip: which === 'prometheus3' && without3 }, () => {
    let dir: string
    let prometheus: RunningPrometheus
    let gateway: StubGateway
    let authorization: string
    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'bailiwick-odd-'))
      const { prometheus: program, promtool } = await findPrometheus({ cacheDir, tell: () => {} })
      const [file, dataDir] = [join(dir, 'series.txt'), join(dir, 'data')]
      await writeFile(file, exposition())
      const made = await run(promtool, ['tsdb', 'create-blocks-from', 'openmetrics', file, dataDir], { seconds: 120 })
      assert.equal(made.code, 0, made.stderr)
      const binary = which === 'prometheus' ? program : (prometheus3 ?? '')
      prometheus = await startPrometheus({
        binary,
        dataDir,
        config: 'global: { scrape_interval: 1h }\n',
        tell: () => {},
      })
      const { url } = prometheus
      gateway = await startStubGateway(
        () => {},
        (config) => ({
          ...config,
          clusters: config.clusters.map((one) => ({ ...one, prometheus: { ...one.prometheus, url } })),
        }),
      )
      authorization = `Bearer ${await gateway.token()}`
    })
    after(async () => {
      await gateway?.stop()
      await prometheus?.stop()
      await rm(dir, { recursive: true, force: true })
    })

    const ask = (request: ApiRequest): Promise<Response> => send(gateway.url, request, { authorization })
    const query = (text: string): ApiRequest => ({ path: '/api/v1/query', params: [['query', text]] })
    const at = stored.indexOf(mine)

    it('are all there for whoever asks Prometheus itself', async () => {
      const all = JSON.stringify(await dataOf(await send(prometheus.url, query('secret'))))
      assert.deepEqual(
        podsOf(all),
        podsWhere(() => true),
      )
      assert.deepEqual(valuesOf(all, 'namespace'), stored.filter((name) => name !== '').toSorted())
    })

    it('that look like mine are not shown with it, whatever is asked', async () => {
      const showing = [
        ...['namespace!=""', 'namespace=~".*"', 'namespace=~".+"', 'namespace!="x"', 'namespace=~"emojivoto|"'],
        ...['namespace=~"(?i)EMOJIVOTO"', 'namespace=~"emojivoto|.*"', 'namespace=~"(?s)emojivoto.*"', 'pod=~".*"'],
      ]
      const empty = [
        ...['namespace=""', 'namespace=~""', 'namespace!~".+"', 'namespace!="emojivoto"', 'namespace=~"(?s).*\\n"'],
        ...['namespace!~"emojivoto"', 'namespace=~"emojivoto.+"', 'namespace=~"(theirs)?"', 'namespace=~".*[|]theirs"'],
      ]
      for (const matcher of [...showing, ...empty]) {
        for (const text of [`secret{${matcher}}`, `{__name__=~".+",${matcher}}`]) {
          const answer = JSON.stringify(await dataOf(await ask(query(text))))
          assert.deepEqual(podsOf(answer), showing.includes(matcher) ? [podOf(at)] : [], text)
        }
      }
      // Closes the group that Prometheus puts around a regular expression, and opens another: no longer anchored.
      const open = await (await ask(query('secret{namespace=~"x)|(.*"}'))).text()
      assert.ok(['', podOf(at)].includes(podsOf(open).join()), open)
    })

    it('that look like mine are not told by series, labels, values or federation', async () => {
      for (const matcher of ['secret', '{__name__=~".+"}', 'secret{namespace!=""}', 'secret{namespace=~".*"}']) {
        const series = await ask({ path: '/api/v1/series', params: [['match[]', matcher]] })
        assert.deepEqual(podsOf(await series.text()), [podOf(at)], matcher)
        const pods = await ask({ path: '/api/v1/label/pod/values', params: [['match[]', matcher]] })
        assert.deepEqual(await dataOf(pods), [podOf(at)])
        const federated = await (await ask({ path: '/federate', params: [['match[]', matcher]] })).text()
        assert.match(federated, /^secret\{namespace="emojivoto",/m)
        assert.equal(federated.match(/^secret\{/gm)?.length, 1, federated)
      }
      assert.deepEqual(await dataOf(await ask({ path: '/api/v1/labels', params: [] })), [
        '__name__',
        'namespace',
        'pod',
      ])
      const others = await ask({ path: '/federate', params: [['match[]', 'secret{namespace=""}']] })
      assert.doesNotMatch(await others.text(), /secret\{/)
    })

    it('are only one’s own among the values of the label that decides, however its name is written', async () => {
      for (const name of ['namespace', 'U__namespace', 'U__na_6d_espace', 'U__na_006D_espace']) {
        for (const params of [
          [],
          [['match[]', '{namespace!=""}']],
          [
            ['match[]', 'secret'],
            ['match[]', '{pod=~".+"}'],
          ],
        ] as const) {
          const values = await dataOf(await ask({ path: `/api/v1/label/${name}/values`, params }))
          // A Prometheus 2 takes the other spellings for a label that nobody has.
          if (name === 'namespace') assert.deepEqual(values, [mine])
          else assert.ok(['[]', '["emojivoto"]'].includes(JSON.stringify(values)), JSON.stringify(values))
        }
      }
    })

    it('that hold regular expressions are names, in a grant and in a question', async () => {
      const scopes: [allow: readonly string[], deny: readonly string[], holds: (name: string) => boolean][] = [
        [['team.a'], [], (name) => name === 'team.a'],
        [['team-a', 'team.a'], [], (name) => ['team-a', 'team.a'].includes(name)],
        [['team-*'], [], (name) => name.startsWith('team-')],
        [['team-*'], ['team-secret*'], (name) => name.startsWith('team-') && !name.startsWith('team-secret')],
        [['*'], ['team-*', 'emoji*'], (name) => name !== '' && !/^(?:team-|emoji)/.test(name)],
        [['emoji*'], ['emojivoto'], (name) => name.startsWith('emoji') && name !== mine],
      ]
      for (const [allow, deny, holds] of scopes) {
        const scope: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow, deny }] }
        const rewritten = rewriteQuery('secret', scope)
        assert.ok(rewritten.ok)
        const shown = podsOf(JSON.stringify(await dataOf(await send(prometheus.url, query(rewritten.value.sent)))))
        const permitted = podsWhere(holds)
        assert.deepEqual(
          shown.filter((pod) => !permitted.includes(pod)),
          [],
          rewritten.value.sent,
        )
        // A Prometheus 2 takes a line break for no character, so a pattern may show less there.
        const expected = podsWhere((name) => holds(name) && !name.includes('\n'))
        assert.deepEqual(
          expected.filter((pod) => !shown.includes(pod)),
          [],
          rewritten.value.sent,
        )
      }
      for (const named of ['emojivoto|theirs', '.*', '.+', '(?i)emojivoto', 'emojivoto\\n', 'emojivoto ']) {
        const response = await ask(query(`secret{namespace="${named}"}`))
        assert.deepEqual(podsOf(await response.text()), [], named)
      }
    })
  })
}

describe('a policy that grants a regular expression', () => {
  it('is refused as a whole, so that nobody has to guess what it means', async () => {
    const model = {
      name: 'model.conf',
      text: readFileSync(new URL('../../policies/model.conf', import.meta.url), 'utf8'),
    }
    const load = (pattern: string) =>
      loadPolicy(model, [{ name: 'p.csv', text: `p, group:a, *, query, namespace=${pattern}, allow` }])
    assert.equal((await load('team-*')).ok, true)
    for (const pattern of ['team.a', 'team-a|theirs', '(.*)', '.+', 'team-a$', '[a-z]+', 'TEAM', 'team a', '', 'a?']) {
      assert.equal((await load(pattern)).ok, false, pattern)
    }
  })
})
