/** Run by `retention-kill.test.ts`: a log that turns over fast, compressed and deleted as it goes, until it is killed. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { nodeFiles } from '../../../src/audit/files.ts'
import { readSigningKey } from '../../../src/audit/keys.ts'
import { openAuditLog } from '../../../src/audit/log.ts'
import { openRetention } from '../../../src/audit/retention.ts'
import { decision } from './support.ts'

const [, , dir, keyFile, copyTo] = process.argv
if (dir !== undefined && keyFile !== undefined && copyTo !== undefined) {
  const key = readSigningKey(readFileSync(keyFile, 'utf8'))
  const clock = () => new Date()
  const checkpoints = { key, previousKey: null, copyTo, every: 10, idle: 60_000 }
  const rotate = { bytes: 8_000, ms: 60_000 }
  const log = openAuditLog({ dir, clock, newId: randomUUID, rotate, checkpoints })
  const retention = openRetention({
    dir,
    files: nodeFiles,
    clock,
    options: { keepMs: null, maxBytes: 60_000, compress: true, hold: false, everyMs: 5 },
    key,
    live: () => log.status().file,
    covered: () => log.covered(),
    record: (entry) => log.append(entry),
    told: () => {},
  })
  retention.start()
  for (let n = 0; process.connected; n++) {
    await log.append(decision(`${n}`))
    process.send?.(['deleted', retention.status().deleted])
    // Else the segments come faster than they can go.
    await delay(25)
  }
}
