// Every number that the gateway gives is told of in docs/metrics.md, and the page tells of no other.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { createMetrics } from '../../src/telemetry/metrics.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8')

it('docs/metrics.md names every metric with its kind', async () => {
  const metrics = createMetrics({
    audit: () => ({
      ...{ open: true, queued: 0, records: 0, bestEffort: false, unrecorded: 0, diskUsed: null },
      checkpoints: null,
    }),
    segments: () => ({
      ...{ count: 0, compressed: 0, tombstones: 0, bytes: 0, deleted: 0 },
      ...{ held: false, blocked: false, failing: false },
    }),
    review: () => null,
    sinks: () => [],
    policy: () => ({ digest: '', rules: 0, rejected: false }),
    quota: () => ({ waiting: 0, people: 0 }),
    issuers: () => [],
  })
  const { text } = await metrics.expose()
  const exposed = [...text.matchAll(/^# TYPE (bailiwick_\w+) (\w+)$/gm)].map(([, name, kind]) => `${name} ${kind}`)
  const told = [...page.matchAll(/^\| `(bailiwick_\w+)`[^|]*\| (\w+) \|/gm)].map(([, name, kind]) => `${name} ${kind}`)
  assert.ok(exposed.length > 20)
  assert.deepEqual(told.toSorted(), exposed.toSorted())
})
