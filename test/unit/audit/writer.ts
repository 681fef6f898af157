/** Run by `startWriter`: appends from several lanes without pause, and reports each acknowledgement to its parent. */
import { randomUUID } from 'node:crypto'
import { openAuditLog, type AuditLog } from '../../../src/audit/log.ts'
import { decision, outcome } from './support.ts'

async function write(log: AuditLog, boot: string, lane: number): Promise<void> {
  for (let n = 0; process.connected; n++) {
    const request = `${boot}-${lane}-${n}`
    const receipt = await log.append(decision(request, 'sum by (dst) (rate(response_total[1m]))'))
    if (!receipt.ok) throw new Error(receipt.error.reason)
    process.send?.([request])
    log.note(outcome(request))
  }
}

const [, , dir] = process.argv
if (dir !== undefined && process.send !== undefined) {
  const log = openAuditLog({ dir, clock: () => new Date(), newId: randomUUID })
  const boot = randomUUID()
  await Promise.all(Array.from({ length: 16 }, (_, lane) => write(log, boot, lane)))
}
