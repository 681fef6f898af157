// Judge c: what somebody sees is what a Prometheus shows that holds nothing but their series.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { rewriteQuery } from '../../src/promql/rewrite.ts'
import { attacks } from '../judges/attacks.ts'
import { laterExpressions, otherExpressions, ownExpressions, withoutOthers } from '../judges/corpora.ts'
import { matches } from '../judges/corpus.ts'
import { inputAt } from '../judges/fuzz-run.ts'
import { narrower, refusedOnPurpose } from '../judges/known.ts'
import { compareAll, compareMatches, startDatabase } from '../judges/noninterference.ts'
import type { Verdict } from '../judges/noninterference.ts'
import { dataScopes } from '../judges/scopes.ts'
import type { DataScope } from '../judges/scopes.ts'
import { without3 } from '../judges/server.ts'
import type { Server } from '../judges/server.ts'

const whole = process.env['JUDGES'] === 'all'
const several = ({ scope }: DataScope): boolean => scope.kind === 'labels' && scope.alternatives.length > 1

/** The queries whose answers are not the filtered database's, but for what `Difference` says about several alternatives. */
function unlike({ differences }: Verdict, scope: DataScope): string[] {
  const bad = differences.filter(({ kind, query, how }) => {
    if (how === 'refusal' && refusedOnPurpose.has(query)) return false
    return kind !== 'unsteady' && (kind === 'other' || !several(scope))
  })
  return bad.map(({ kind, query, how, detail }) => `${query} (${how}, ${kind}): ${detail}`).toSorted()
}

/** Mutants that we accept; most do not get so far. */
const mutants = [
  ...new Set(Array.from({ length: whole ? 15_000 : 2000 }, (_, index) => inputAt(20_261_121, index, true))),
].filter((text) => rewriteQuery(text, { kind: 'everything' }).ok)

/** What topk makes of a tie depends on the order of the series, and what is then made of its choice can be anything. */
const chooses = (text: string, scope: DataScope): boolean => several(scope) && /topk|bottomk|limitk/i.test(text)

const queryOf = (line: string): string => line.replace(/ \((?:instant|range|refusal), .*$/s, '')

/** The one difference that is allowed: fewer series, none that the judge does not show, and a note that says so. */
function saysNarrower(line: string, { scope }: DataScope): boolean {
  const result = rewriteQuery(queryOf(line), scope)
  const notes = result.ok ? result.value.notes.join('\n') : ''
  return line.includes('; only we: undefined;') && notes.includes('a range selector on its own')
}

for (const which of ['prometheus', 'prometheus3'] as const) {
  const skip = which === 'prometheus3' && (whole ? without3 : 'npm run conformance judges this too')
  describe(`the answers of ${which}`, { skip }, () => {
    let full: Server
    before(async () => {
      full = await startDatabase(which)
    })
    after(() => full.stop())

    for (const scope of dataScopes) {
      describe(scope.name, () => {
        let filtered: Server
        before(async () => {
          filtered = await startDatabase(which, scope)
        })
        after(() => filtered.stop())

        it('to our corpus are those of a Prometheus without the rest', async () => {
          const verdict = await compareAll(full, filtered, scope, [...ownExpressions, ...laterExpressions, ...attacks])
          const bad = unlike(verdict, scope)
          assert.deepEqual(bad.map(queryOf), narrower[scope.name] ?? [], bad.join('\n'))
          for (const line of bad) assert.ok(saysNarrower(line, scope), line)
          assert.ok(verdict.withData > 200, `only ${verdict.withData} have data`)
          assert.ok(verdict.equal > 380, `only ${verdict.equal} are equal`)
        })

        it('to match[] are those of a Prometheus without the rest', async () => {
          assert.deepEqual(await compareMatches(full, filtered, scope, matches), [])
        })

        it('to mutants are those of a Prometheus without the rest', async () => {
          const verdict = await compareAll(
            full,
            filtered,
            scope,
            mutants.filter((text) => !chooses(text, scope)),
          )
          const bad = unlike(verdict, scope)
          assert.deepEqual(
            bad.filter((line) => !saysNarrower(line, scope)),
            [],
          )
          assert.ok(verdict.withData > mutants.length / 6, `only ${verdict.withData} have data`)
        })

        const skip = whole ? withoutOthers : 'npm run conformance judges these too'
        it('to the expressions of others are those of a Prometheus without the rest', { skip }, async () => {
          const verdict = await compareAll(full, filtered, scope, otherExpressions())
          assert.deepEqual(unlike(verdict, scope), [])
          assert.ok(verdict.withData > 100, `only ${verdict.withData} have data`)
        })
      })
    }

    it('would show a scope that is too wide, and one that is too narrow', async () => {
      const [one, two] = dataScopes
      assert.ok(one !== undefined && two !== undefined)
      const filtered = await startDatabase(which, one)
      try {
        const wide = await compareAll(full, filtered, { ...one, scope: two.scope }, ['up', 'sum(request_total)'])
        assert.equal(wide.equal, 0)
        const narrow = await compareAll(filtered, full, one, ['count(up)'])
        assert.equal(narrow.equal, 0)
      } finally {
        await filtered.stop()
      }
    })
  })
}
