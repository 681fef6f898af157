import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readCheckKeys } from '../../src/audit/keys.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { checkLedger, seedOf, unexplained } from './crash.ts'
import { crashGateway } from './crash-gateway.ts'
import { crashLog } from './crash-log.ts'
import type { LogCrashOptions } from './crash-log.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const given = process.env['SEED']

/** Kills a gateway so many times under load; what it had answered must be on record, in a log that is whole. */
export async function assertGatewaySurvives(t: TestContext, rounds: number, audit: object = {}): Promise<void> {
  const seed = seedOf(given)
  const found = await crashGateway(rounds, seed, audit)
  t.after(() => found.remove())
  const { dir, copy, publicKeyFile, ledger, failures, cancelled, early } = found
  const { records, missing, contradicted, twice } = await checkLedger(dir, ledger)
  const keys = readCheckKeys(await readFile(publicKeyFile, 'utf8'))
  const report = await verifyLog({ dir, keys, copy, partial: false })
  assert.ok(report.ok, JSON.stringify(report))
  const { damage, uncovered, segments, checkpoints, remarks } = report.value
  t.diagnostic(
    `SEED=${seed}: ${rounds} kills (${early} during a start), ${ledger.length} answers in the ledger, ${cancelled} ` +
      `cancelled, ${records} records, ${segments} segments, ${checkpoints} checkpoints, ${remarks.length} remarks`,
  )
  assert.deepEqual(
    { failures, missing, contradicted, twice },
    { failures: [], missing: [], contradicted: [], twice: [] },
  )
  assert.deepEqual(
    { damage, unexplained: unexplained(report.value), uncovered },
    { damage: null, unexplained: [], uncovered: 0 },
  )
  assert.ok(ledger.length > rounds * 2, `only ${ledger.length} answers`)
  const said = spawnSync(
    process.execPath,
    [main, 'audit', 'verify', dir, '--key', publicKeyFile, '--checkpoints', copy],
    {
      encoding: 'utf8',
    },
  )
  assert.equal(said.status, 0, `${said.stdout}${said.stderr}`)
}

/** The same with nothing but the log, at full rate. */
export async function assertLogSurvives(
  t: TestContext,
  rounds: number,
  sizes: Pick<LogCrashOptions, 'longest' | 'rotateBytes' | 'maxBytes'>,
): Promise<void> {
  const seed = seedOf(given)
  const { report, ...found } = await crashLog({ rounds, seed, lanes: 256, ...sizes })
  t.diagnostic(
    `SEED=${seed}: ${rounds} kills, ${found.acknowledged} acknowledged records (up to ${found.most} in a round), ` +
      `${found.records} records, ${report.segments} segments (${found.compressed} compressed, ${found.deleted} deleted), ${found.tornTails} torn tails, ${report.checkpoints} checkpoints`,
  )
  const { lost, failures, unexplained } = found
  assert.deepEqual({ lost, failures, unexplained }, { lost: [], failures: [], unexplained: [] })
  assert.equal(report.damage, null)
  assert.ok(found.acknowledged > rounds * 256, `only ${found.acknowledged} records`)
}
