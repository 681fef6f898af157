// Who asks is what a verified token says. Headers that other gateways believe, and groups that nearly are somebody's,
// give nobody anything.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

/** Headers from which some proxy, datasource or backend reads who asks or what they may see. */
const believedElsewhere: Readonly<Record<string, string>> = {
  'x-forwarded-user': 'carol',
  'x-forwarded-email': 'carol@example.com',
  'x-forwarded-preferred-username': 'carol',
  'x-forwarded-groups': 'platform',
  'x-auth-request-user': 'carol',
  'x-auth-request-groups': 'platform',
  'x-remote-user': 'carol',
  'x-remote-group': 'platform',
  'remote-user': 'carol',
  'remote-groups': 'platform',
  'impersonate-user': 'carol',
  'impersonate-group': 'platform',
  'x-webauth-user': 'carol',
  'x-webauth-groups': 'platform',
  'x-grafana-user': 'carol',
  'x-grafana-org-id': '1',
  'x-ds-authorization': 'Bearer platform',
  'x-jwt-assertion': '{"groups":["platform"]}',
  'x-scope-orgid': 'platform',
  'x-prom-label-policy': 'platform:namespace="theirs"',
  'x-prometheus-tenant': 'platform',
  'thanos-tenant': 'platform',
  'x-amzn-oidc-data': 'e30.eyJncm91cHMiOlsicGxhdGZvcm0iXX0.',
  'x-ssl-client-cert': 'CN=carol',
  'x-forwarded-client-cert': 'URI=spiffe://cluster.local/ns/platform/sa/carol',
  'l5d-client-id': 'admin.linkerd.serviceaccount.identity.linkerd.cluster.local',
  'l5d-remote-ip': '127.0.0.1',
  'x-forwarded-for': '127.0.0.1',
  'x-real-ip': '127.0.0.1',
  cookie: 'grafana_session=x; _oauth2_proxy=x; session=x; id_token=x',
  'proxy-authorization': 'Basic Y2Fyb2w6eA==',
}

describe('somebody who claims to be somebody else', () => {
  let gateway: StubGateway
  before(async () => {
    gateway = await startStubGateway((_, response) => {
      response.setHeader('content-type', 'application/json').end('{"status":"success","data":[]}')
    })
  })
  after(() => gateway.stop())

  const ask = async (headers: Readonly<Record<string, string>>, target = '/api/v1/query?query=up') => {
    const before = gateway.reached.length
    const response = await fetch(`${gateway.url}${target}`, { headers })
    await response.arrayBuffer()
    return {
      status: response.status,
      scope: response.headers.get('bailiwick-scope'),
      reached: gateway.reached.slice(before),
    }
  }
  const bearer = async (...groups: string[]) => ({ authorization: `Bearer ${await gateway.token(groups)}` })

  it('by a header stays a stranger without a token', async () => {
    for (const [name, value] of Object.entries(believedElsewhere)) {
      assert.deepEqual(await ask({ [name]: value }), { status: 401, scope: null, reached: [] }, name)
    }
    assert.equal((await ask(believedElsewhere)).status, 401)
  })
  it('by a header gets no right that their token does not give', async () => {
    const nobody = await bearer('auditors')
    for (const [name, value] of Object.entries(believedElsewhere)) {
      const { status, reached } = await ask({ ...nobody, [name]: value })
      assert.deepEqual([status, reached], [403, []], name)
    }
    const config = await ask({ ...(await bearer('team-emojivoto')), ...believedElsewhere }, '/api/v1/status/config')
    assert.deepEqual([config.status, config.reached], [403, []])
  })
  it('by a header keeps their own scope, and Prometheus is told of none', async () => {
    const alice = await bearer('team-emojivoto')
    for (const more of [
      ...Object.entries(believedElsewhere).map(([name, value]) => ({ [name]: value })),
      believedElsewhere,
    ]) {
      const { status, scope, reached } = await ask({ ...alice, ...more })
      assert.deepEqual([status, scope], [200, 'namespace: emojivoto'])
      const [seen] = reached
      assert.equal(new URLSearchParams(seen?.body).get('query'), 'up{namespace=~"emojivoto"}')
      for (const name of [...Object.keys(believedElsewhere), 'authorization']) {
        assert.equal(seen?.headers[name], undefined, name)
      }
    }
  })
  it('by a token in the URL, the body, a cookie or another header stays a stranger', async () => {
    const token = await gateway.token(['platform'])
    for (const [target, headers] of [
      [`/api/v1/query?query=up&access_token=${token}`, {}],
      [`/api/v1/query?query=up&token=${token}`, {}],
      ['/api/v1/query?query=up', { cookie: `access_token=${token}; Authorization=Bearer ${token}` }],
      ['/api/v1/query?query=up', { 'proxy-authorization': `Bearer ${token}` }],
      ['/api/v1/query?query=up', { 'x-forwarded-access-token': token, 'x-access-token': token, token }],
      [
        '/api/v1/query?query=up',
        { 'x-authorization': `Bearer ${token}`, 'x-forwarded-authorization': `Bearer ${token}` },
      ],
    ] as const) {
      assert.deepEqual(await ask(headers, target), { status: 401, scope: null, reached: [] }, target.slice(0, 40))
    }
  })
  it('by a group that is nearly another has no right', async () => {
    for (const group of [
      ...[
        'Platform',
        'PLATFORM',
        'platform ',
        ' platform',
        'platform\n',
        'platform\0',
        'plat form',
        'platform,',
        '*',
        '',
      ],
      ...[
        'group:platform',
        'user:platform',
        'platform|team-emojivoto',
        'team-emojivoto,platform',
        'team-*',
        'ｐlatform',
      ],
      ...['/platform', 'platform/', 'team-emojivoto/../platform', '__proto__', 'constructor', 'team-emojivot', '.*'],
    ]) {
      const { status, reached } = await ask(await bearer(group))
      assert.deepEqual([status, reached], [403, []], JSON.stringify(group))
    }
    assert.equal((await ask(await bearer('team-*', 'team-emojivoto'))).scope, 'namespace: emojivoto')
  })
})
