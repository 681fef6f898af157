import type { Labels } from '../../demo/parts/linkerd-mesh.ts'
import type { Alternative, Scope } from '../../src/promql/rewrite.ts'

const alternative = (label: string, allow: readonly string[], deny: readonly string[] = []): Alternative => ({
  label,
  allow,
  deny,
})
const scope = (first: Alternative, ...rest: readonly Alternative[]): Scope => ({
  kind: 'labels',
  alternatives: [first, ...rest],
})

/** A scope that nobody else has, and the only matchers, written down by hand, that a selector under it may begin with. */
export interface MarkedScope {
  readonly name: string
  /** One alternative only, so that the rewriting adds matchers and nothing else. */
  readonly single: boolean
  /** `mark` is plain letters and digits, different for every query: what storage is asked tells whose question it was. */
  readonly scope: (mark: string) => Scope
  readonly beginnings: (mark: string) => readonly (readonly string[])[]
}

// In a union the later alternatives leave out what an earlier one has, unless the selector itself rules the earlier out.

export const markedScopes: readonly MarkedScope[] = [
  {
    name: 'one name',
    single: true,
    scope: (mark) => scope(alternative('bw_team', [mark])),
    beginnings: (mark) => [[`bw_team=~${mark}`]],
  },
  {
    name: 'two names',
    single: true,
    scope: (mark) => scope(alternative('bw_team', [`${mark}.b`, `${mark}-a`])),
    beginnings: (mark) => [[`bw_team=~${mark}-a|${mark}\\.b`]],
  },
  {
    name: 'a pattern without a part of it',
    single: true,
    scope: (mark) => scope(alternative('bw_team', [`${mark}-*`], [`${mark}-x*`])),
    beginnings: (mark) => [[`bw_team=~${mark}-.*`, `bw_team!~${mark}-x.*`]],
  },
  {
    name: 'either of two labels',
    single: false,
    scope: (mark) => scope(alternative('bw_team', [mark]), alternative('bw_dst', [mark])),
    beginnings: (mark) => [[`bw_team=~${mark}`], [`bw_dst=~${mark}`, `bw_team!~${mark}`], [`bw_dst=~${mark}`]],
  },
  {
    name: 'either of three labels, one without a part of it',
    single: false,
    scope: (mark) =>
      scope(
        alternative('bw_team', [`${mark}*`], [`${mark}x`]),
        alternative('bw_dst', [mark]),
        alternative('job', [mark]),
      ),
    beginnings: (mark) => [
      [`bw_team=~${mark}.*`, `bw_team!~${mark}x`],
      [`bw_dst=~${mark}`],
      [`job=~${mark}`, `bw_dst!~${mark}`],
      [`job=~${mark}`],
    ],
  },
  {
    name: 'either of two labels, and nothing of a third or of the first',
    single: false,
    scope: (mark) => ({
      kind: 'labels',
      alternatives: [alternative('bw_team', [`${mark}*`]), alternative('bw_dst', [mark])],
      never: [
        { label: 'bw_kind', patterns: [`${mark}k`] },
        { label: 'bw_team', patterns: [`${mark}x`] },
      ],
    }),
    beginnings: (mark) => [
      [`bw_team=~${mark}.*`, `bw_team!~${mark}x`, `bw_kind!~${mark}k`],
      [`bw_dst=~${mark}`, `bw_kind!~${mark}k`, `bw_team!~${mark}x`],
    ],
  },
]

/** The mark in a matcher. */
export const markPattern = /\bn\d+z\b|\bn\d+z(?=[-.x*])/
export const markOf = (index: number): string => `n${index}z`

/** A scope on the fixture, and the same in other words: which series a Prometheus that holds nothing else would hold. */
export interface DataScope {
  readonly name: string
  readonly scope: Scope
  readonly holds: (labels: Labels) => boolean
}

const has = (labels: Labels, label: string, ...values: readonly string[]): boolean =>
  values.includes(labels[label] ?? '')

export const dataScopes: readonly DataScope[] = [
  {
    name: 'one namespace',
    scope: scope(alternative('namespace', ['booksapp'])),
    holds: (labels) => has(labels, 'namespace', 'booksapp'),
  },
  {
    name: 'two namespaces',
    scope: scope(alternative('namespace', ['payments', 'booksapp'])),
    holds: (labels) => has(labels, 'namespace', 'booksapp', 'payments'),
  },
  {
    name: 'namespaces by a pattern',
    scope: scope(alternative('namespace', ['book*'])),
    holds: (labels) => (labels['namespace'] ?? '').startsWith('book'),
  },
  {
    name: 'every namespace',
    scope: scope(alternative('namespace', ['*'])),
    holds: (labels) => (labels['namespace'] ?? '') !== '',
  },
  {
    name: 'every namespace but one',
    scope: scope(alternative('namespace', ['*'], ['payments'])),
    holds: (labels) => !has(labels, 'namespace', '', 'payments'),
  },
  {
    name: 'a pattern without a part of it',
    scope: scope(alternative('namespace', ['linkerd*', 'emoji*'], ['linkerd-*'])),
    holds: (labels) => has(labels, 'namespace', 'linkerd', 'emojivoto'),
  },
  {
    name: 'own or destination',
    scope: scope(alternative('namespace', ['booksapp']), alternative('dst_namespace', ['booksapp'])),
    holds: (labels) => has(labels, 'namespace', 'booksapp') || has(labels, 'dst_namespace', 'booksapp'),
  },
  {
    name: 'a namespace or a job',
    scope: scope(alternative('namespace', ['emojivoto']), alternative('job', ['linkerd-controller'])),
    holds: (labels) => has(labels, 'namespace', 'emojivoto') || has(labels, 'job', 'linkerd-controller'),
  },
  {
    name: 'every namespace but one, or to that one',
    scope: scope(alternative('namespace', ['*'], ['booksapp']), alternative('dst_namespace', ['books*'])),
    holds: (labels) => !has(labels, 'namespace', '', 'booksapp') || (labels['dst_namespace'] ?? '').startsWith('books'),
  },
  {
    name: 'a namespace, without what another label says',
    scope: {
      kind: 'labels',
      alternatives: [alternative('namespace', ['booksapp'])],
      never: [{ label: 'dst_namespace', patterns: ['payments', 'linkerd*'] }],
    },
    holds: (labels) =>
      has(labels, 'namespace', 'booksapp') && !/^(payments|linkerd.*)$/.test(labels['dst_namespace'] ?? ''),
  },
  {
    name: 'own or destination, and nothing of one namespace on either side',
    scope: {
      kind: 'labels',
      alternatives: [alternative('namespace', ['*']), alternative('dst_namespace', ['booksapp'])],
      never: [
        { label: 'namespace', patterns: ['batch'] },
        { label: 'dst_namespace', patterns: ['emojivoto'] },
      ],
    },
    holds: (labels) =>
      (has(labels, 'dst_namespace', 'booksapp') || (labels['namespace'] ?? '') !== '') &&
      !has(labels, 'namespace', 'batch') &&
      !has(labels, 'dst_namespace', 'emojivoto'),
  },
]
