// The chart, rendered: with its own values, with everything of its own switched on, and with what others made.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, it } from 'node:test'
import { parse, parseAllDocuments, parseDocument } from 'yaml'
import { startApp } from '../../../src/app.ts'
import { auditLimits } from '../../../src/audit/limits.ts'
import { loadConfig } from '../../../src/config/config.ts'
import type { Config } from '../../../src/config/config.ts'
import { selfTestPath } from '../../../src/identity/mesh-self-test.ts'
import { readPolicy } from '../../../src/policy/files.ts'
import { createLog } from '../../../src/telemetry/log.ts'
import { renderChart } from '../../support/helm-template.ts'

const root = resolve(import.meta.dirname, '../../..')
const chartDir = join(root, 'helm/bailiwick')
const textOf = (file: string): string => readFileSync(join(root, file), 'utf8')
const templates = Object.fromEntries(
  readdirSync(join(chartDir, 'templates')).map((name) => [
    name,
    readFileSync(join(chartDir, 'templates', name), 'utf8'),
  ]),
)
const chart = parse(textOf('helm/bailiwick/Chart.yaml'))
const values = parse(textOf('helm/bailiwick/values.yaml'))
const manifest = Object(JSON.parse(textOf('package.json')))
const dockerfile = textOf('Dockerfile')
const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-chart-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

/** Values put over others, as Helm does it: settings by name, everything else as a whole. */
function over(below: unknown, above: unknown): unknown {
  if (!isSettings(below) || !isSettings(above)) return above
  return Object.fromEntries(
    [...new Set([...Object.keys(below), ...Object.keys(above)])].map((key) => [
      key,
      Object.hasOwn(above, key) ? over(below[key], above[key]) : below[key],
    ]),
  )
}
const isSettings = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const everything = {
  image: { repository: 'registry.example.org/bailiwick', tag: '1.2.3', pullSecrets: [{ name: 'registry' }] },
  config: {
    clusters: [{ name: 'main', prometheus: { url: 'http://p', bearerToken_file: '/run/secrets/bailiwick/t' } }],
  },
  secret: { files: { t: 'abc', u: 'yes' } },
  env: [{ name: 'NODE_EXTRA_CA_CERTS', value: '/run/secrets/bailiwick/u' }],
  audit: { storageClassName: 'fast', checkpointsClaim: 'second-place' },
  service: { annotations: { 'example.org/internal': 'true' } },
  podAnnotations: { 'prometheus.io/scrape': 'true' },
  podLabels: { team: 'platform' },
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ key: 'only', operator: 'Exists' }],
  affinity: { nodeAffinity: {} },
  kubernetes: { token: true, tokenReview: true },
  linkerd: {
    inject: true,
    server: { enabled: true, callers: [{ name: 'grafana', namespace: 'monitoring' }] },
    selfTest: { enabled: true, port: 19_080 },
    prometheusAuthorization: { enabled: true },
  },
}
const others = {
  secret: { existing: 'my-secret' },
  audit: { existingClaim: 'my-claim', accessMode: 'ReadWriteOnce' },
  linkerd: { inject: true, server: { enabled: true }, selfTest: { enabled: true } },
}
const variants = { 'its own values': {}, everything, 'what others made': others }

const render = (given: unknown, name = 'bailiwick', all: unknown = over(values, given)): ReadonlyMap<string, string> =>
  renderChart({
    files: templates,
    root: {
      Values: all,
      Release: { Name: name, Namespace: 'metrics', Service: 'Helm' },
      Chart: { AppVersion: chart.appVersion },
    },
  })

interface Named {
  readonly name: string
}
interface Metadata extends Named {
  readonly namespace?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}
interface Container {
  readonly image: string
  readonly args: readonly string[]
  readonly env: unknown
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
  readonly securityContext: unknown
  readonly resources: unknown
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
}
interface Volume extends Named {
  readonly projected?: { readonly sources: readonly { readonly configMap?: Named }[] }
  readonly persistentVolumeClaim?: { readonly claimName: string }
  readonly secret?: { readonly secretName: string; readonly defaultMode: number }
}
interface Pod {
  readonly metadata: Metadata
  readonly spec: {
    readonly hostname?: string
    readonly serviceAccountName: string
    readonly automountServiceAccountToken: boolean
    readonly terminationGracePeriodSeconds: number
    readonly imagePullSecrets: unknown
    readonly securityContext: unknown
    readonly containers: readonly [Container]
    readonly volumes: readonly Volume[]
    readonly nodeSelector: unknown
    readonly tolerations: unknown
    readonly affinity: unknown
  }
}
/** A rendered object, with what the tests ask of any kind. */
interface Rendered {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Metadata
  readonly automountServiceAccountToken?: boolean
  readonly data: Readonly<Record<string, string>>
  readonly stringData: unknown
  readonly spec: {
    readonly replicas: number
    readonly strategy: unknown
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> }
    readonly template: Pod
    readonly ports: unknown
    readonly storageClassName: string
    readonly targetRef: Named
    readonly requiredAuthenticationRefs: readonly Named[]
    readonly identityRefs: unknown
  }
}

/** Each document of a template, read as Kubernetes does: YAML 1.1, where 0440 is octal. */
function documentsOf(text: string): readonly Rendered[] {
  return [...parseAllDocuments(text, { version: '1.1' })].flatMap((document) => {
    assert.deepEqual([...document.errors, ...document.warnings], [])
    return document.contents === null ? [] : [document.toJS()]
  })
}
const objectsOf = (given: unknown, name?: string): readonly Rendered[] =>
  [...render(given, name)].filter(([file]) => file.endsWith('.yaml')).flatMap(([, text]) => documentsOf(text))
function one(given: unknown, kind: string, suffix = ''): Rendered {
  const name = `bailiwick${suffix}`
  const found = objectsOf(given).filter((object) => object.kind === kind && object.metadata.name === name)
  const [object, ...more] = found
  assert.ok(object !== undefined && more.length === 0, `one ${kind} ${name}, not ${found.length}`)
  return object
}
const podOf = (given: unknown): Pod => one(given, 'Deployment').spec.template
const containerOf = (given: unknown): Container => podOf(given).spec.containers[0]

/** What lies in the mounted directory, read by the gateway itself. */
function mounted(given: unknown): Config {
  const dir = mkdtempSync(join(scratch, 'etc-'))
  for (const { configMap } of podOf(given).spec.volumes[0]?.projected?.sources ?? []) {
    const { data } = one(given, 'ConfigMap', configMap?.name.slice('bailiwick'.length))
    for (const [name, text] of Object.entries(data)) writeFileSync(join(dir, name), text, { flag: 'wx' })
  }
  const config = loadConfig(join(dir, 'bailiwick.yaml'), {})
  assert.ok(config.ok, JSON.stringify(config))
  return config.value
}

describe('Chart.yaml and values.yaml', () => {
  it('are YAML without a warning', () => {
    for (const file of ['Chart.yaml', 'values.yaml']) {
      const { errors, warnings } = parseDocument(textOf(`helm/bailiwick/${file}`))
      assert.deepEqual([...errors, ...warnings], [])
    }
  })
  it("have the program's version", () => {
    assert.deepEqual([chart.appVersion, chart.version], [manifest.version, manifest.version])
  })
  it('have the model of the repository', () => assert.equal(values.policy['model.conf'], textOf('policies/model.conf')))
  it('leave time to stop: the grace of requests, and the sealing of the record', () => {
    const needed = mounted({}).shutdown.grace + auditLimits.deadlineMs
    assert.ok(podOf({}).spec.terminationGracePeriodSeconds * 1000 > needed)
  })
})

describe('the values', () => {
  const settingsOf = (value: unknown, path: readonly string[] = []): readonly string[] =>
    isSettings(value) && Object.keys(value).length > 0
      ? Object.entries(value).flatMap(([key, inner]) => settingsOf(inner, [...path, key]))
      : [JSON.stringify(path)]

  /** The same value, which notes what is read of it. */
  function watched(value: unknown, path: readonly string[], read: Set<string>): unknown {
    if (typeof value !== 'object' || value === null) return value
    return new Proxy(value, {
      get(target, key) {
        const inner: unknown = Reflect.get(target, key)
        if (typeof key === 'symbol' || !Object.hasOwn(target, key)) return inner
        read.add(JSON.stringify([...path, key]))
        return watched(inner, [...path, key], read)
      },
    })
  }

  it('that templates name are all there', () => {
    const names = Object.values(templates).flatMap((text) =>
      [...text.matchAll(/\.Values((?:\.\w+)+)/g)].map(([, path = '']) => path),
    )
    assert.ok(names.length > 40)
    for (const path of new Set(names)) {
      const found = path
        .split('.')
        .slice(1)
        .reduce((value, key) => (isSettings(value) ? value[key] : undefined), values)
      assert.notEqual(found, undefined, `.Values${path}`)
    }
  })
  it('are all used', () => {
    const read = new Set<string>()
    for (const given of Object.values(variants)) render(given, 'bailiwick', watched(over(values, given), [], read))
    assert.deepEqual(
      settingsOf(values).filter((path) => !read.has(path)),
      [],
    )
  })
  it('of this test are names that values.yaml has', () => {
    for (const given of [everything, others]) {
      const free = ['config', 'secret', 'service', 'podAnnotations', 'podLabels', 'nodeSelector', 'affinity']
      const strange = settingsOf(given).filter((path) => !settingsOf(values).includes(path))
      assert.deepEqual(
        strange.filter((path) => !free.some((name) => path.startsWith(`["${name}"`))),
        [],
      )
    }
  })
})

describe('the templates', () => {
  const kinds: Readonly<Record<string, readonly string[]>> = {
    'its own values': ['ConfigMap', 'ConfigMap', 'Deployment', 'PersistentVolumeClaim', 'Service', 'ServiceAccount'],
    everything: [
      'ConfigMap',
      'ConfigMap',
      'Deployment',
      'Server',
      'MeshTLSAuthentication',
      'AuthorizationPolicy',
      'AuthorizationPolicy',
      'PersistentVolumeClaim',
      'Secret',
      'Service',
      'ServiceAccount',
      ...['ClusterRole', 'ClusterRoleBinding'],
      ...['Service', 'HTTPRoute', 'HTTPRoute', 'NetworkAuthentication', 'AuthorizationPolicy'],
    ],
    'what others made': ['ConfigMap', 'ConfigMap', 'Deployment', 'Server', 'Service', 'Service', 'ServiceAccount'],
  }
  for (const [variant, given] of Object.entries(variants)) {
    it(`make these objects of ${variant}`, () => {
      const objects = objectsOf(given)
      assert.deepEqual(objects.map(({ kind }) => kind).toSorted(), kinds[variant]?.toSorted())
      for (const { kind, apiVersion, metadata } of objects) {
        const expected =
          kind === 'Deployment' ? /^apps\/v1$/ : /^(v1|(rbac\.authorization\.k8s|policy\.linkerd)\.io\/v1\w*)$/
        assert.match(apiVersion, expected)
        assert.equal(metadata.labels['app.kubernetes.io/version'], manifest.version)
        assert.equal(metadata.labels['app.kubernetes.io/instance'], 'bailiwick')
      }
    })
    it(`name what is there, given ${variant}`, () => {
      const made = new Set(objectsOf(given).map(({ kind, metadata }) => `${kind} ${metadata.name}`))
      const { serviceAccountName, volumes } = podOf(given).spec
      const named = [
        `ServiceAccount ${serviceAccountName}`,
        ...volumes.flatMap(({ projected, persistentVolumeClaim, secret }) => [
          ...(projected?.sources ?? []).flatMap(({ configMap }) => (configMap ? [`ConfigMap ${configMap.name}`] : [])),
          ...(persistentVolumeClaim ? [`PersistentVolumeClaim ${persistentVolumeClaim.claimName}`] : []),
          ...(secret ? [`Secret ${secret.secretName}`] : []),
        ]),
      ]
      const foreign: Readonly<Record<string, readonly string[]>> = {
        // Kubernetes itself puts the first into every namespace.
        everything: ['ConfigMap kube-root-ca.crt', 'PersistentVolumeClaim second-place'],
        'what others made': ['PersistentVolumeClaim my-claim', 'Secret my-secret'],
      }
      assert.deepEqual(
        named.filter((name) => !made.has(name)),
        foreign[variant] ?? [],
      )
      const mounts = containerOf(given).volumeMounts.map(({ name }) => name)
      assert.deepEqual(
        mounts,
        volumes.map(({ name }) => name),
      )
    })
    it(`mount a configuration and a policy that the gateway loads, given ${variant}`, async () => {
      // The token's file is not on this machine.
      const withoutToken = over(given, { config: { clusters: values.config.clusters } })
      const config = mounted(withoutToken)
      const policy = await readPolicy(config.policy, () => 0)
      assert.ok(policy.ok, JSON.stringify(policy))
      assert.equal(policy.value.rules, 0)
      const { args, volumeMounts, ports } = containerOf(given)
      assert.deepEqual(volumeMounts[0], { name: 'files', mountPath: '/etc/bailiwick', readOnly: true })
      assert.deepEqual(volumeMounts[1], { name: 'audit', mountPath: config.audit.directory })
      assert.deepEqual(args, JSON.parse(/^CMD (.*)$/m.exec(dockerfile)?.[1] ?? ''))
      assert.deepEqual(ports, [
        { name: 'http', containerPort: config.listen.port },
        { name: 'admin', containerPort: config.admin.port },
      ])
      assert.deepEqual([config.listen.host, config.admin.host], ['0.0.0.0', '0.0.0.0'])
    })
    it(`let the gateway run with as little as it needs, given ${variant}`, () => {
      const { spec } = podOf(given)
      const [, uid, gid] = /^USER (\d+):(\d+)$/m.exec(dockerfile) ?? []
      assert.deepEqual(spec.securityContext, {
        runAsNonRoot: true,
        runAsUser: Number(uid),
        runAsGroup: Number(gid),
        fsGroup: Number(gid),
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      })
      assert.deepEqual(containerOf(given).securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
      assert.equal(spec.automountServiceAccountToken, false)
      assert.equal(one(given, 'ServiceAccount').automountServiceAccountToken, false)
      assert.equal(spec.containers.length, 1)
    })
    it(`never let two gateways have the audit directory, given ${variant}`, () => {
      const { replicas, strategy } = one(given, 'Deployment').spec
      assert.deepEqual({ replicas, strategy }, { replicas: 1, strategy: { type: 'Recreate' } })
    })
    it(`lead clients to the pod, given ${variant}`, () => {
      const { labels } = podOf(given).metadata
      const { selector } = one(given, 'Deployment').spec
      const service = one(given, 'Service').spec
      assert.ok(Object.keys(selector.matchLabels).length > 1)
      assert.deepEqual(over(labels, selector.matchLabels), labels)
      assert.deepEqual(service.selector, selector.matchLabels)
      assert.deepEqual(service.ports, [{ name: 'http', port: 9080, targetPort: 'http', appProtocol: 'http' }])
    })
  }

  it('pass on what people set for their own cluster', () => {
    const { metadata, spec } = podOf(everything)
    const { image, env } = spec.containers[0]
    assert.equal(image, 'registry.example.org/bailiwick:1.2.3')
    assert.deepEqual(env, everything.env)
    assert.deepEqual(spec.imagePullSecrets, everything.image.pullSecrets)
    assert.deepEqual(spec.nodeSelector, everything.nodeSelector)
    assert.deepEqual(spec.tolerations, everything.tolerations)
    assert.deepEqual(spec.affinity, everything.affinity)
    assert.deepEqual(over(metadata.annotations, everything.podAnnotations), metadata.annotations)
    assert.deepEqual(over(metadata.labels, everything.podLabels), metadata.labels)
    assert.deepEqual(one(everything, 'Service').metadata.annotations, everything.service.annotations)
    assert.equal(one(everything, 'PersistentVolumeClaim', '-audit').spec.storageClassName, 'fast')
    assert.deepEqual(containerOf({}).resources, values.resources)
  })
  it('take the image of the version where no tag is set', () => {
    assert.equal(containerOf({}).image, `bailiwick:${manifest.version}`)
  })
  it('follow the configuration with ports and mount', () => {
    const config = { listen: '[::]:1', admin: '0.0.0.0:22', audit: { directory: '/data' } }
    const { ports, volumeMounts } = containerOf({ config })
    assert.deepEqual(
      ports.map(({ containerPort }) => containerPort),
      [1, 22],
    )
    assert.equal(volumeMounts[1]?.mountPath, '/data')
  })
  it('mount the second place of the checkpoints where there is one, apart from the record', () => {
    const mountOf = (given: unknown): string | undefined =>
      containerOf(given).volumeMounts.find(({ name }) => name === 'checkpoints')?.mountPath
    assert.equal(mountOf({}), undefined)
    assert.equal(mountOf(everything), '/var/lib/bailiwick-checkpoints')
    assert.ok(textOf('helm/bailiwick/values.yaml').includes(`copyTo: ${mountOf(everything)}/`))
  })
  it('mount a Secret where there is one, for the group only', () => {
    assert.ok(!JSON.stringify(podOf({}).spec).includes('/run/secrets'))
    for (const given of [everything, others]) {
      assert.equal(containerOf(given).volumeMounts[2]?.mountPath, '/run/secrets/bailiwick')
      assert.equal(podOf(given).spec.volumes[2]?.secret?.defaultMode, 0o440)
    }
    assert.deepEqual(one(everything, 'Secret').stringData, everything.secret.files)
  })
  it('make a new pod of a change in configuration or Secret, and none of one in the policy, which is followed', () => {
    const sums = (given: unknown): string =>
      JSON.stringify(Object.entries(podOf(given).metadata.annotations).filter(([name]) => name.startsWith('checksum/')))
    const changes = [
      {},
      { config: { log: { level: 'debug' } } },
      { secret: { files: { a: 'b' } } },
      { secret: { files: { a: 'c' } } },
    ]
    assert.equal(new Set(changes.map(sums)).size, changes.length)
    assert.deepEqual(podOf({ policy: { 'policy.csv': 'p, group:a, *, query, *, allow' } }), podOf({}))
    // A file mounted by itself would never change in the pod.
    assert.ok(!templates['deployment.yaml']?.includes('subPath'))
  })
  it('call the pods one host only where no two of them can have the volume', () => {
    assert.equal(podOf({}).spec.hostname, 'bailiwick')
    assert.equal(podOf({ audit: { accessMode: 'ReadWriteOnce' } }).spec.hostname, undefined)
  })
  it('keep the record when the release goes', () => {
    const { metadata, spec } = one({}, 'PersistentVolumeClaim', '-audit')
    assert.equal(metadata.annotations['helm.sh/resource-policy'], 'keep')
    assert.deepEqual(spec, { accessModes: ['ReadWriteOncePod'], resources: { requests: { storage: '20Gi' } } })
  })
  it('put the pod into the mesh when told to, awaiting the proxy', () => {
    const mesh = (given: unknown): readonly unknown[] =>
      Object.entries(podOf(given).metadata.annotations).filter(([name]) => name.includes('linkerd'))
    assert.deepEqual(mesh({}), [])
    assert.deepEqual(mesh(everything), [
      ['linkerd.io/inject', 'enabled'],
      ['config.linkerd.io/proxy-await', 'enabled'],
      ['config.linkerd.io/skip-outbound-ports', '19080'],
    ])
    assert.deepEqual(mesh({ linkerd: { inject: true } }), mesh(everything).slice(0, 2))
  })
  it('let the gateway reach itself from outside of its pod, on a port that its proxy leaves alone on the way out', () => {
    for (const given of [everything, others]) {
      const { spec } = one(given, 'Service', '-self-test')
      assert.deepEqual(Reflect.get(spec, 'selector'), one(given, 'Service').spec.selector)
      assert.equal(Reflect.get(spec, 'publishNotReadyAddresses'), true)
      assert.deepEqual(spec.ports, [{ name: 'self-test', port: 19_080, targetPort: 'http', appProtocol: 'http' }])
    }
    const url = /^ {2}identity\.mesh\.selfTest: (.*)$/m.exec(render(everything).get('NOTES.txt') ?? '')?.[1]
    assert.equal(url, 'http://bailiwick-self-test.metrics.svc.cluster.local:19080')
    const mesh = { trustDomain: 'cluster.local', selfTest: url }
    const clusters = [{ name: 'main', prometheus: { url: 'http://p' } }]
    const identity = { issuers: values.config.identity.issuers, mesh }
    assert.equal(mounted({ config: { clusters, identity } }).mesh?.selfTest, url)
  })
  it('open one path, exactly, to whoever is no named caller, and leave every other to those', () => {
    const rulesOf = (suffix: string): unknown => Reflect.get(one(everything, 'HTTPRoute', suffix).spec, 'rules')
    assert.deepEqual(rulesOf('-self-test'), [{ matches: [{ path: { type: 'Exact', value: selfTestPath } }] }])
    assert.deepEqual(rulesOf('-clients'), [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }])
    for (const suffix of ['-self-test', '-clients']) {
      const parents = Reflect.get(one(everything, 'HTTPRoute', suffix).spec, 'parentRefs')
      assert.deepEqual(parents, [{ group: 'policy.linkerd.io', kind: 'Server', name: 'bailiwick-http' }])
    }
    const opened = objectsOf(everything).flatMap(({ kind, spec }) =>
      kind === 'AuthorizationPolicy' && spec.requiredAuthenticationRefs[0]?.name === 'bailiwick-anywhere'
        ? [spec.targetRef]
        : [],
    )
    assert.deepEqual(opened, [{ group: 'policy.linkerd.io', kind: 'HTTPRoute', name: 'bailiwick-self-test' }])
    const networks = Reflect.get(one(everything, 'NetworkAuthentication', '-anywhere').spec, 'networks')
    assert.deepEqual(networks, [{ cidr: '0.0.0.0/0' }, { cidr: '::/0' }])
  })
  it('give the gateway a token for the API server where it is to speak to it, and nothing else of it', () => {
    const { spec } = podOf(everything)
    const volume = spec.volumes.find(({ name }) => name === 'kubernetes')
    assert.deepEqual(Reflect.get(Object(volume), 'projected'), {
      defaultMode: 0o440,
      sources: [
        { serviceAccountToken: { path: 'token', expirationSeconds: 3_600 } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      ],
    })
    const mount = { name: 'kubernetes', mountPath: '/run/secrets/kubernetes', readOnly: true }
    assert.deepEqual(
      containerOf(everything).volumeMounts.find(({ name }) => name === 'kubernetes'),
      mount,
    )
    for (const given of [{}, others]) assert.ok(!JSON.stringify(podOf(given)).includes('serviceAccountToken'))
  })
  it('let the gateway’s account ask about tokens, and do nothing else in the cluster', () => {
    const role = one(everything, 'ClusterRole', '-metrics-token-review')
    assert.deepEqual(Reflect.get(role, 'rules'), [
      { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    ])
    const binding = one(everything, 'ClusterRoleBinding', '-metrics-token-review')
    assert.equal(Object(Reflect.get(binding, 'roleRef')).name, role.metadata.name)
    assert.deepEqual(Reflect.get(binding, 'subjects'), [
      { kind: 'ServiceAccount', name: 'bailiwick', namespace: 'metrics' },
    ])
  })
  it('make a Server of the client port that never detects protocols, open only where nobody is named', () => {
    for (const [given, accessPolicy] of [
      [everything, 'deny'],
      [others, 'all-unauthenticated'],
    ] as const) {
      const podSelector = one(given, 'Deployment').spec.selector
      assert.deepEqual(one(given, 'Server', '-http').spec, {
        podSelector,
        port: 'http',
        proxyProtocol: 'HTTP/1',
        accessPolicy,
      })
    }
    assert.deepEqual(one(everything, 'MeshTLSAuthentication', '-callers').spec.identityRefs, [
      { kind: 'ServiceAccount', name: 'grafana', namespace: 'monitoring' },
    ])
    const { targetRef, requiredAuthenticationRefs } = one(everything, 'AuthorizationPolicy', '-callers').spec
    assert.equal(targetRef.name, one(everything, 'Server', '-http').metadata.name)
    assert.equal(requiredAuthenticationRefs[0]?.name, 'bailiwick-callers')
  })
  it("let the gateway's account, and no other, reach viz's Prometheus", () => {
    const { metadata, spec } = one(everything, 'AuthorizationPolicy', '-reaches-prometheus')
    assert.equal(metadata.namespace, 'linkerd-viz')
    assert.deepEqual(spec, {
      targetRef: { group: 'policy.linkerd.io', kind: 'Server', name: 'prometheus-admin' },
      requiredAuthenticationRefs: [{ kind: 'ServiceAccount', name: 'bailiwick', namespace: 'metrics' }],
    })
  })
  it('cut a long release name where no dash is left at the end', () => {
    const name = `${'a'.repeat(49)}-bc`
    const deployment = objectsOf({}, name).find(({ kind }) => kind === 'Deployment')
    assert.equal(deployment?.metadata.name, 'a'.repeat(49))
    assert.equal(deployment.spec.template.spec.hostname, 'a'.repeat(49))
  })
  it("load the repository's own rules where they are given", async () => {
    const given = mounted({ policy: { 'policy.csv': textOf('policies/policy.csv') } })
    const policy = await readPolicy(given.policy, () => 0)
    assert.ok(policy.ok)
    const model = join(root, 'policies/model.conf')
    const own = await readPolicy({ model, rules: [join(root, 'policies/policy.csv')], profile: 'linkerd' }, () => 0)
    assert.ok(own.ok)
    assert.equal(policy.value.rules, own.value.rules)
  })
  it('say in the notes where Grafana goes, and warn while the mesh is not asked', () => {
    const notes = render({}).get('NOTES.txt') ?? ''
    assert.match(notes, /^ {2}http:\/\/bailiwick\.bailiwick\.svc\.cluster\.local:9080\/clusters\/main$/m)
    assert.match(notes, /^ {2}kubectl -n metrics port-forward deployment\/bailiwick 9081$/m)
    assert.match(notes, /linkerd\.server\.enabled is false/)
    assert.doesNotMatch(render(everything).get('NOTES.txt') ?? '', /linkerd\.server\.enabled is false/)
  })
})

describe('the probes', () => {
  it('ask paths of the admin server, and nothing of the clients’ port', async () => {
    const { livenessProbe, readinessProbe } = containerOf({})
    const config = mounted({
      config: {
        listen: '127.0.0.1:0',
        admin: '127.0.0.1:0',
        audit: { directory: join(scratch, 'audit') },
        identity: { issuers: [{ issuer: 'http://127.0.0.1:1', audience: ['a'] }] },
      },
    })
    const app = await startApp(config, createLog({ level: 'error' }, { write: () => {} }))
    assert.ok(app.ok)
    const statusOf = async (base: string, path: string): Promise<number> =>
      (await fetch(`${base}${path}`, { headers: { connection: 'close' } })).status
    try {
      assert.deepEqual([livenessProbe.httpGet.port, readinessProbe.httpGet.port], ['admin', 'admin'])
      assert.equal(await statusOf(app.value.adminUrl, livenessProbe.httpGet.path), 200)
      // No provider answers here, so it is alive but not ready.
      assert.equal(await statusOf(app.value.adminUrl, readinessProbe.httpGet.path), 503)
      assert.equal(await statusOf(app.value.adminUrl, '/-/other'), 404)
      assert.notEqual(await statusOf(app.value.url, livenessProbe.httpGet.path), 200)
    } finally {
      await app.value.stop()
    }
  })
})
