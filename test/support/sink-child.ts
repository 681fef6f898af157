/** Run by the test that kills it: a log with a sink, written from several lanes. Reports each acknowledgement to its parent. */
import { randomUUID } from 'node:crypto'
import { openAuditLog, type AuditLog } from '../../src/audit/log.ts'
import type { SinkOptions } from '../../src/audit/sinks/sink.ts'
import { openSinks } from '../../src/audit/sinks/sinks.ts'
import { decision, until } from '../unit/audit/support.ts'
import { isThrough } from './sink-world.ts'

async function write(log: AuditLog, boot: string, lane: number): Promise<void> {
  for (let n = 0; process.connected; n++) {
    const request = `${boot}-${lane}-${n}`
    const receipt = await log.append(decision(request))
    if (!receipt.ok) throw new Error(receipt.error.reason)
    process.send?.(request)
  }
}

const [, , dir, mode, sink] = process.argv
if (dir !== undefined && sink !== undefined) {
  const to: SinkOptions['to'] = JSON.parse(sink)
  const log = openAuditLog({ dir, clock: () => new Date(), newId: randomUUID, rotate: { bytes: 30_000, ms: 60_000 } })
  const sinks = openSinks({
    dir,
    clock: () => new Date(),
    options: [{ name: 'second', required: false, to }],
    durable: () => log.durable(),
    record: (entry) => log.append(entry),
    told: () => {},
    limits: { batchRecords: 50, pollMs: 5, retryMs: 5, retryCapMs: 50, cursorMs: 20 },
  })
  if (mode === 'write') await Promise.all(Array.from({ length: 4 }, (_, lane) => write(log, randomUUID(), lane)))
  else await until(() => log.durable() !== null && isThrough(sinks))
  await sinks.stop()
  await log.seal()
}
