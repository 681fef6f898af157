// kill -9 at any moment loses no record of what was answered. `npm run conformance` does it 200 times.
import { it } from 'node:test'
import { assertGatewaySurvives, assertLogSurvives } from '../support/crash-rounds.ts'

// Small segments: some of the kills come while one gives way to the next.
const audit = { rotate: { size: '24KiB' } }

it('what a gateway answered is on record after kill -9', { timeout: 240_000 }, (t) =>
  assertGatewaySurvives(t, 25, audit),
)
it('what a log acknowledged is in it after kill -9', { timeout: 240_000 }, (t) =>
  assertLogSurvives(t, 8, { longest: 300, rotateBytes: 200_000, maxBytes: 1_000_000 }),
)
