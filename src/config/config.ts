import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import type { IssuerOptions } from '../identity/issuer.ts'
import type { CliClient } from '../identity/resource-metadata.ts'
import type { DatasourceOptions } from '../identity/sources/grafana.ts'
import type { MeshOptions } from '../identity/sources/mesh.ts'
import type { PolicyOptions } from '../policy/files.ts'
import type { FollowOptions } from '../policy/reload.ts'
import type { UpstreamOptions } from '../prometheus/upstream.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import type { LogOptions } from '../telemetry/log.ts'
import { checkAudit, toAudit } from './audit.ts'
import type { AuditConfig } from './audit.ts'
import { upstreamOptions } from './clusters.ts'
import { checkDatasources, toDatasource } from './datasources.ts'
import { toIssuer } from './issuers.ts'
import { checkLogin, toLogin } from './login.ts'
import type { BrowserLogin } from './login.ts'
import { checkMesh } from './mesh.ts'
import { schema } from './schema.ts'
import type { Settings } from './schema.ts'
import { missingSecret, putSecrets } from './secrets.ts'
import type { Environment, SecretFiles } from './secrets.ts'

/** A host and a port to listen on. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** A cluster and its Prometheus. */
export interface ClusterOptions {
  readonly name: string
  readonly prometheus: UpstreamOptions
  /** Does an answer say in its `infos` that it was narrowed? */
  readonly notices: boolean
}

/** Everything that can be set, checked, with file names made absolute. */
export interface Config {
  /** Without a slash at the end. */
  readonly publicUrl: string | null
  readonly listen: Address
  readonly admin: Address
  /** Addresses and CIDR ranges of proxies whose `X-Forwarded-For` counts. */
  readonly trustedProxies: readonly string[]
  readonly clusters: readonly ClusterOptions[]
  readonly issuers: readonly IssuerOptions[]
  /** How people's own programs log in; null where they cannot. */
  readonly cli: CliClient | null
  /** How people log in with a browser; null where they cannot. */
  readonly login: BrowserLogin | null
  /** Datasources of Grafana. */
  readonly datasources: readonly DatasourceOptions[]
  /** Linkerd's mesh; null where its word does not count. */
  readonly mesh: MeshOptions | null
  readonly policy: PolicyOptions & FollowOptions
  readonly audit: AuditConfig
  readonly log: LogOptions
  /** Milliseconds. */
  readonly shutdown: { readonly grace: number }
}

/**
 * Reads a configuration file. Problems come as sentences that begin with the key, say what is wrong with its value,
 * and what to write instead; all of them at once. No sentence holds a value, which might be a secret.
 */
export function loadConfig(file: string, environment: Environment = process.env): Result<Config, readonly string[]> {
  const base = dirname(resolve(file))
  const read = readYaml(file)
  if (!read.ok) return read
  const { value, problems, files } = putSecrets(read.value, base, environment)
  const checked = schema.safeParse(value)
  if (!checked.success) {
    const issues = checked.error.issues
      // A secret that is not there has been told of already; its stand-in need not have a secret's form.
      .filter((issue) => problems.length === 0 || readPath(value, issue.path) !== missingSecret)
      .flatMap((issue) => describeIssue(issue, value))
    return fail([...problems, ...issues])
  }
  const all = problems.length > 0 ? problems : crossCheck(checked.data)
  return all.length > 0 ? fail(all) : ok(toConfig(checked.data, base, files))
}

function readYaml(file: string): Result<unknown, readonly string[]> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return fail([`${error instanceof Error ? error.message : String(error)}: check --config`])
  }
  // Not pretty: the library's pretty errors and its warnings quote lines, and a line may hold a secret. And not "silent",
  // with which a second document would be ignored.
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'error', lineCounter })
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) {
    const { line, col } = lineCounter.linePos(problem.pos[0])
    return fail([`line ${line}, column ${col}: not YAML as it is meant here (${problem.code}): mend that place`])
  }
  try {
    const value: unknown = document.toJS() ?? {}
    // Throws where a value contains itself.
    JSON.stringify(value)
    return ok(value)
  } catch {
    return fail([
      'an alias (*name) in it has no anchor (&name), is inside of it, or is one too many: write the value out',
    ])
  }
}

function describeIssue(issue: z.core.$ZodIssue, value: unknown): readonly string[] {
  const at = pathText(issue.path)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) => `${at === '' ? key : `${at}.${key}`}: there is no such setting: see docs/configuration.md for the names`,
    )
  }
  const missing = at !== '' && readPath(value, issue.path) === undefined
  return [`${at === '' ? 'the file' : at}: ${missing ? 'is missing: ' : ''}${issue.message}`]
}

const readPath = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  )

/** `clusters[0].prometheus.url` */
const pathText = (path: readonly PropertyKey[]): string =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '')

/** What concerns several settings together. */
function crossCheck({ publicUrl, clusters, identity, listen, admin, audit }: Settings): readonly string[] {
  return [
    ...repeated(clusters.map(({ name }) => name)).map(
      ([first, again]) => `clusters[${again}].name: is the name of clusters[${first}] already: choose another`,
    ),
    ...repeated(identity.issuers.map(({ issuer }) => issuer)).map(
      ([first, again]) => `identity.issuers[${again}].issuer: is identity.issuers[${first}] again: merge the two`,
    ),
    ...(identity.cli !== undefined && !identity.issuers.some(({ issuer }) => issuer === identity.cli?.issuer)
      ? ['identity.cli.issuer: is none of identity.issuers: its tokens would be refused']
      : []),
    ...(identity.issuers.filter(({ introspection }) => introspection !== undefined).length > 1
      ? ['identity.issuers: more than one has introspection: an opaque token does not say whose it is, keep one']
      : []),
    ...(identity.login === undefined ? [] : checkLogin(identity.login, identity.issuers, publicUrl)),
    ...checkDatasources(identity),
    ...checkAudit(audit),
    ...(identity.mesh === undefined ? [] : checkMesh(listen)),
    ...(listen.port !== 0 && listen.port === admin.port && listen.host === admin.host
      ? ['admin: must not be the same address as listen: choose another port']
      : []),
  ]
}

/** Where a name is there first and where again. */
const repeated = (names: readonly string[]): readonly (readonly [first: number, again: number])[] =>
  names.map((name, index) => [names.indexOf(name), index] as const).filter(([first, again]) => first !== again)

function toConfig(settings: Settings, base: string, files: SecretFiles): Config {
  const { policy, identity, clusters } = settings
  const issuers = identity.issuers.map((issuer, index) => toIssuer(issuer, `identity.issuers[${index}]`, files))
  return {
    publicUrl: settings.publicUrl?.replace(/\/+$/, '') ?? null,
    listen: settings.listen,
    admin: settings.admin,
    trustedProxies: settings.trustedProxies ?? [],
    clusters: clusters.map(({ name, notices, prometheus }, index) => ({
      name,
      notices,
      prometheus: upstreamOptions(prometheus, `clusters[${index}].prometheus`, files),
    })),
    issuers,
    cli: identity.cli === undefined ? null : { ...identity.cli, parameters: identity.cli.parameters ?? {} },
    login: identity.login === undefined ? null : toLogin(identity.login, issuers, settings.publicUrl ?? ''),
    datasources: (identity.datasources ?? []).map(toDatasource),
    mesh: identity.mesh ?? null,
    policy: {
      ...policy,
      model: resolve(base, policy.model),
      rules: policy.rules.map((file) => resolve(base, file)),
    },
    audit: toAudit(settings.audit, base, files),
    log: settings.log,
    shutdown: settings.shutdown,
  }
}
