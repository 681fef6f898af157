// Whose records somebody may look at.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { Identity } from '../../../src/identity/identity.ts'
import { both, isAny, isWithin, rightTo } from '../../../src/pages/review/right.ts'
import { loadPolicy } from '../../../src/policy/policy.ts'

const model = readFileSync(new URL('../../../policies/model.conf', import.meta.url), 'utf8')
const dana: Identity = {
  issuer: 'https://id.test',
  subject: 'dana',
  name: 'Dana',
  groups: ['auditors'],
  via: 'session',
}

async function withinOf(rules: string, clusters: readonly string[] = ['east', 'west']) {
  const policy = await loadPolicy({ name: 'model.conf', text: model }, [{ name: 'policy.csv', text: rules }])
  if (!policy.ok) throw new Error(policy.error.join('\n'))
  return rightTo(policy.value, dana, clusters, 'audit:read').within
}

describe('the right to look at the record', () => {
  const everything = 'p, group:auditors, *, audit:read, *, allow\n'
  for (const [what, rules, expected] of [
    ['a rule for every cluster gives all', everything, 'all'],
    [
      'a rule for each cluster gives those, and not the records of no cluster',
      'p, group:auditors, east, audit:read, *, allow\np, group:auditors, west, audit:read, *, allow\n',
      ['east', 'west'],
    ],
    ['a rule for one cluster gives that one', 'p, group:auditors, east, audit:read, *, allow\n', ['east']],
    ['a pattern of clusters gives those', 'p, group:auditors, e*, audit:read, *, allow\n', ['east']],
    ['one namespace gives nothing', 'p, group:auditors, *, audit:read, namespace=books, allow\n', []],
    [
      'every namespace, but not every series, gives nothing',
      'p, group:auditors, *, audit:read, namespace=*, allow\n',
      [],
    ],
    ['another action gives nothing', 'p, group:auditors, *, query, *, allow\n', []],
    ['another group’s rule gives nothing', 'p, group:others, *, audit:read, *, allow\n', []],
    [
      'a deny of one cluster leaves the others',
      `${everything}p, group:auditors, east, audit:read, *, deny\n`,
      ['west'],
    ],
    [
      'a deny of a namespace is a deny of the cluster: its records cannot be told apart',
      `${everything}p, group:auditors, east, audit:read, namespace=secret, deny\n`,
      ['west'],
    ],
    [
      'a deny of a cluster that is not configured any more keeps its records from being seen',
      `${everything}p, group:auditors, gone, audit:read, *, deny\n`,
      ['east', 'west'],
    ],
    ['and so does one of a pattern', `${everything}p, group:auditors, old-*, *, *, deny\n`, ['east', 'west']],
    ['a deny for others changes nothing', `${everything}p, group:others, gone, audit:read, *, deny\n`, 'all'],
    [
      'a rule that has ended gives nothing',
      'p, group:auditors, *, audit:read, *, allow, from=2099-01-01T00:00:00Z, until=2099-02-01T00:00:00Z, reason=later\n',
      [],
    ],
  ] as const) {
    it(what, async () => assert.deepEqual(await withinOf(rules), expected))
  }
  it('of one cluster configured is still not all without a rule for *', async () => {
    assert.deepEqual(await withinOf('p, group:auditors, east, audit:read, *, allow\n', ['east']), ['east'])
  })
  it('names the rules behind it', async () => {
    const policy = await loadPolicy({ name: 'model.conf', text: model }, [{ name: 'policy.csv', text: everything }])
    assert.ok(policy.ok)
    assert.deepEqual(rightTo(policy.value, dana, ['east'], 'audit:read').basis.because, ['policy.csv:1'])
  })
})

describe('what two rights both give', () => {
  it('is the smaller of the two', () => {
    assert.deepEqual(both('all', ['east']), ['east'])
    assert.deepEqual(both(['east', 'west'], ['west', 'south']), ['west'])
    assert.equal(both('all', 'all'), 'all')
    assert.deepEqual([isAny('all'), isAny([]), isAny(['east'])], [true, false, true])
  })
  it('holds what is within it', () => {
    assert.deepEqual(
      [isWithin('all', 'all'), isWithin('all', ['east']), isWithin(['east'], 'all'), isWithin(['east'], ['west'])],
      [true, false, true, false],
    )
  })
})
