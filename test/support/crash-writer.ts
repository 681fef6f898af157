/**
 * Run by `crash-log.ts`: keeps records from many lanes without pause, and says on stdout which of them are kept. Segments are
 * compressed, and the oldest of them deleted, meanwhile.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readCheckpointOptions } from '../../src/audit/checkpoint-options.ts'
import { nodeFiles } from '../../src/audit/files.ts'
import { openAuditLog } from '../../src/audit/log.ts'
import { openRetention } from '../../src/audit/retention.ts'
import { decision, outcome } from '../unit/audit/support.ts'

const [, , dir = '', keyFile = '', copyTo = '', lanes = '', rotateBytes = '', maxBytes = ''] = process.argv
const checkpoints = readCheckpointOptions({
  key: readFileSync(keyFile, 'utf8'),
  previousKey: null,
  copyTo,
  every: 20,
  idle: 200,
})
const rotate = { bytes: Number(rotateBytes), ms: 86_400_000 }
const log = openAuditLog({ dir, clock: () => new Date(), newId: randomUUID, checkpoints, rotate })
openRetention({
  ...{ dir, files: nodeFiles, clock: () => new Date(), key: checkpoints.key, told: () => {} },
  options: { keepMs: null, maxBytes: Number(maxBytes), compress: true, hold: false, everyMs: 10 },
  live: () => log.status().file,
  covered: () => log.covered(),
  record: (entry) => log.appendRefusal(entry),
}).start()
const boot = randomUUID().slice(0, 8)

let said: string[] = []
/** One piece for each commit: a call for each record would be what is measured. */
function say(line: string): void {
  if (said.length === 0) {
    setImmediate(() => {
      process.stdout.write(said.join(''))
      said = []
    })
  }
  said.push(line)
}

async function write(lane: number): Promise<void> {
  for (let n = 0; ; n += 1) {
    const request = `${boot}-${lane}-${n}`
    const receipt = await log.append(decision(request, `up{n="${n}"}`))
    if (!receipt.ok) throw new Error(receipt.error.reason)
    if (receipt.value === null) throw new Error('acknowledged without a receipt')
    say(`${request} ${receipt.value.seq}\n`)
    if (n % 4 === 0) log.note(outcome(request))
  }
}

await Promise.all(Array.from({ length: Number(lanes) }, (_, lane) => write(lane)))
