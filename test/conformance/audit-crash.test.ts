// kill -9 at any moment, 200 times. SEED=… does the kills of an earlier run again, as far as the machine lets it.
import { it } from 'node:test'
import { assertGatewaySurvives, assertLogSurvives } from '../support/crash-rounds.ts'

const skip = process.env['JUDGES'] === 'all' ? false : 'npm run conformance kills that often'
const timeout = 1_800_000

it('what a gateway answered is on record after 200 kills', { skip, timeout }, (t) => assertGatewaySurvives(t, 200))
it('what a gateway answered is on record after 100 kills, with small segments', { skip, timeout }, (t) =>
  assertGatewaySurvives(t, 100, { rotate: { size: '24KiB' } }),
)
it('what a log acknowledged is in it after 200 kills', { skip, timeout }, (t) =>
  assertLogSurvives(t, 200, { longest: 2_000, rotateBytes: 4_000_000, maxBytes: 100_000_000 }),
)
