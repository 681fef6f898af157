// GET /api/bailiwick/v1/access: who am I, what may I see, and because of which rules.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startPolicyGateway } from '../support/policy-gateway.ts'
import type { PolicyGateway } from '../support/policy-gateway.ts'

const model = fileURLToPath(new URL('../../policies/model.conf', import.meta.url))
const path = '/api/bailiwick/v1/access'
const soon = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3_600_000).toISOString().replace('.000Z', 'Z')

const rows = `p, group:books, *, query|rules, namespace=books, allow, view=both
p, group:books, *, query|rules, namespace=books-secret, deny, view=both
p, group:books, *, query, namespace=batch, allow, until=${soon}, reason=who called at 3 a.m.
p, group:emoji, *, *, namespace=emoji, allow
p, group:flood, *, query, namespace=flood, allow
p, group:elsewhere, other, query, namespace=far, allow
l, group:flood, rate=1
l, group:books, range=31d, bytes=50MB
`

describe(`GET ${path}`, () => {
  let scratch: string
  let gateway: PolicyGateway
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-access-'))
    await writeFile(join(scratch, 'policy.csv'), rows)
    gateway = await startPolicyGateway({ model, rules: join(scratch, 'policy.csv') })
  })
  after(async () => {
    await gateway.stop()
    await rm(scratch, { recursive: true, force: true })
  })

  const exp = Math.floor(Date.now() / 1000) + 300
  const ask = async (groups: readonly string[], at = path, method = 'GET'): Promise<Response> => {
    const token = await gateway.issuer.sign({ groups, name: 'Bob', exp })
    return fetch(`${gateway.app.url}${at}`, { method, headers: { authorization: `Bearer ${token}` } })
  }
  const dataFor = async (...groups: readonly string[]) => {
    const response = await ask(groups)
    assert.equal(response.status, 200)
    const { status, data } = JSON.parse(await response.text())
    assert.equal(status, 'success')
    return data
  }
  const documented = async (): Promise<string> => {
    const page = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8')
    return /## What may I see[^]*?(?=\n## )/.exec(page)?.[0] ?? ''
  }

  it('says who the caller is to the gateway, and until when', async () => {
    const { identity } = await dataFor('books', 'unknown')
    assert.deepEqual(identity, {
      issuer: gateway.issuer.issuer,
      subject: 'alice',
      name: 'Bob',
      groups: ['books', 'unknown'],
      via: 'bearer',
      expires: new Date(exp * 1000).toISOString().replace('.000Z', 'Z'),
    })
  })
  it('says for each action the scope, the views, the rules and when one of them ends', async () => {
    const { clusters } = await dataFor('books')
    assert.deepEqual(
      clusters.map(({ name, path }: { name: string; path: string }) => [name, path]),
      [['stub', '/clusters/stub']],
    )
    const [query, none, rules] = clusters[0].actions
    assert.deepEqual([rules.actions, clusters[0].actions.length], [['rules'], 3])
    const { scope, ...rest } = query
    assert.deepEqual(rest, {
      actions: ['query'],
      views: {
        own: { allow: ['batch', 'books'], deny: ['books-secret'] },
        destination: { allow: ['books'], deny: ['books-secret'] },
        labels: { allow: [], deny: [] },
      },
      because: ['policy.csv:1', 'policy.csv:2', 'policy.csv:3'],
      reasons: ['who called at 3 a.m.'],
      ends: [{ rule: 'policy.csv:3', until: soon }],
      until: soon,
    })
    assert.equal(scope.kind, 'labels')
    assert.match(
      scope.text,
      /^namespace: batch, books but not books-secret; or dst_namespace: books but not books-secret; for outbound_\*_route_\*: /,
    )
    assert.deepEqual(scope.alternatives[1], { label: 'dst_namespace', allow: ['books'], deny: ['books-secret'] })
    assert.ok(scope.families.length > 2)
    assert.deepEqual(scope.never[0], { label: 'namespace', patterns: ['books-secret'] })
    assert.deepEqual([none.scope, none.because], [{ text: 'nothing', kind: 'nothing' }, []])
  })
  it('says the same as a query is answered by', async () => {
    const { clusters, policy } = await dataFor('books')
    const answered = await gateway.ask(await gateway.issuer.sign({ groups: ['books'] }))
    assert.equal(answered.policy, policy)
    assert.equal(answered.scope, clusters[0].actions[0].scope.text.slice(0, answered.scope?.length))
    assert.ok((answered.scope?.length ?? 0) > 100)
  })
  it('says how much may be asked for, and which rows say so', async () => {
    const { limits } = await dataFor('books')
    assert.deepEqual(limits.range, { value: 31 * 86_400, text: '31d', because: ['policy.csv:8'] })
    assert.deepEqual(limits.bytes, { value: 50_000_000, text: '50MB', because: ['policy.csv:8'] })
    assert.deepEqual(limits.rate.because, [])
  })
  it('says nothing of the rights of others, and nothing that recognises a token', async () => {
    const text = JSON.stringify(await dataFor('emoji'))
    assert.doesNotMatch(text, /books|batch|flood|far|policy\.csv:[1235678]|credential/)
    assert.match(text, /"policy\.csv:4"/)
  })
  it('says to somebody without rights that there are none, and names no cluster', async () => {
    for (const groups of [[], ['elsewhere']]) assert.deepEqual((await dataFor(...groups)).clusters, [])
  })
  it('is put on record with the rules behind it, and Prometheus is not asked', async () => {
    const asked = gateway.queries.length
    await dataFor('books')
    assert.equal(gateway.queries.length, asked)
    const record = (await gateway.records('decision')).at(-1)
    assert.ok(record !== undefined)
    const fields = ['path', 'decision', 'endpoint', 'sent', 'scope', 'because', 'reasons']
    assert.deepEqual(
      fields.map((field) => record[field]),
      [path, 'allow', null, [], 'nothing', ['policy.csv:1', 'policy.csv:2', 'policy.csv:3'], ['who called at 3 a.m.']],
    )
  })
  it('is for those who are known, and to be read only', async () => {
    assert.equal((await fetch(gateway.app.url + path)).status, 401)
    const posted = await ask(['books'], path, 'POST')
    assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET'])
  })
  it('is the gateway’s own and no cluster’s', async () => {
    for (const at of [`/clusters/stub${path}`, `${path}/`, '/api/bailiwick/v1', path.toUpperCase()]) {
      assert.equal((await ask(['books'], at)).status, 404, at)
    }
  })
  it('counts as a request', async () => {
    const statuses = []
    for (let round = 0; round < 40; round += 1) statuses.push((await ask(['flood'])).status)
    assert.ok(statuses.includes(200) && statuses.includes(429), statuses.join())
  })
  it('is told of in docs/api.md, each field', async () => {
    const page = await documented()
    const names = new Set<string>()
    const collect = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      for (const [name, inner] of Object.entries(value)) {
        if (!Array.isArray(value)) names.add(name)
        collect(inner)
      }
    }
    collect(await dataFor('books'))
    assert.ok(names.size > 25, `only ${names.size}`)
    assert.deepEqual(
      [...names].filter((name) => !page.includes(`\`${name}\``) && !page.includes(`"${name}"`)),
      [],
    )
  })
  it('follows the policy', async () => {
    await writeFile(join(scratch, 'policy.csv'), rows.replace('namespace=emoji', 'namespace=smileys'))
    await gateway.app.reload()
    assert.match(JSON.stringify(await dataFor('emoji')), /"namespace: smileys"/)
  })
  it('is not answered where no record can be kept', async () => {
    await rename(gateway.auditDir, join(scratch, 'gone'))
    const response = await ask(['books'])
    assert.equal(response.status, 503)
    assert.doesNotMatch(await response.text(), /namespace|policy\.csv/)
  })
})
