import { verifyLog } from '../../audit/verify.ts'
import type { VerifyReport } from '../../audit/verify-report.ts'
import { UsageError } from '../command.ts'
import type { Command, Terminal } from '../command.ts'
import { plain, readKeys } from './inputs.ts'

const tellEveryMs = 2_000

/** Says whether a log is whole. */
export const verify: Command = {
  help: `Usage: bailiwick audit verify DIR [--key FILE] [--checkpoints FILE] [options]

Checks every record of the log in DIR, against its chain, its Merkle trees and its checkpoints, and names the first
bad one and what happened to it: edited, deleted, inserted, reordered, truncated, damaged, forked, gap, key not valid
then, idle checkpoint missing. Segments that were deleted for their age or size, with a signed tombstone, may be missing. Exit code 0: the log is whole; 1: it is damaged; 2: it could not be read.

Options:
  --key FILE          the public keys to trust (PEM, or name+id+base64), one or several; without it, signatures
                      are checked with the keys that the log names itself
  --checkpoints FILE  the copy of the checkpoints from the second place: shows what was cut off the end
  --partial           older segments are kept elsewhere: the beginning may be missing
  --json              print one JSON value
`,
  options: {
    key: { type: 'string' },
    checkpoints: { type: 'string' },
    partial: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  words: 1,
  async run(given, terminal) {
    const [dir] = given.words
    if (dir === undefined) throw new UsageError('which directory?')
    const keyFile = given.option('key')
    const keys = keyFile === undefined ? null : await readKeys(keyFile)
    if (keys?.ok === false) return unread(terminal, keys.error)
    const report = await verifyLog({
      dir,
      keys: keys === null ? null : keys.value,
      copy: given.option('checkpoints') ?? null,
      partial: given.flag('partial'),
      progress: progress(terminal),
    })
    if (!report.ok) return unread(terminal, report.error)
    terminal.out(given.flag('json') ? `${JSON.stringify(report.value)}\n` : described(report.value))
    return report.value.damage === null ? 0 : 1
  },
}

function unread(terminal: Terminal, reason: string): number {
  terminal.err(`${plain(reason)}\n`)
  return 2
}

/** Speaks up on long logs only. */
function progress(terminal: Terminal): (done: number, total: number) => void {
  let next = performance.now() + tellEveryMs
  return (done, total) => {
    if (performance.now() < next) return
    next = performance.now() + tellEveryMs
    const percent = Math.floor((done / total) * 100)
    terminal.err(`checked ${percent} % of ${Math.ceil(total / 1024 / 1024)} MiB\n`)
  }
}

function described({ damage, remarks, unknown, ...report }: VerifyReport): string {
  const { log, segments, records, checkpoints, deleted, signedBy, last, uncovered } = report
  const head =
    damage === null
      ? 'whole\n'
      : `DAMAGED: ${damage.kind}\n${damage.file}:${damage.line}${damage.seq === null ? '' : `, record ${damage.seq}`}: ${damage.sentence}\n`
  const until = damage === null ? '' : ' (up to there)'
  const rows = [
    `log ${log ?? 'unknown'}: ${segments} segments, ${records} records, ${checkpoints} checkpoints${until}`,
    ...(deleted === null ? [] : [deletedRow(deleted)]),
    signedBy.length === 0 ? 'not signed' : `signed by ${signedBy.join(', ')}`,
    ...(last === null ? [] : [`last checkpoint ${last.number}, ${last.time}, ${last.hash}`]),
    ...(uncovered === 0 ? [] : [`${uncovered} records behind the last checkpoint: only the chain covers them`]),
    ...remarks.map(({ file, sentence }) => `note: ${file === '' ? '' : `${file}: `}${sentence}`),
    ...unknown.map((sentence) => `not shown: ${sentence}`),
  ]
  return plainLines(`${head}${rows.map((row) => `${row}\n`).join('')}`)
}

const deletedRow = ({ segments, records, from, to }: NonNullable<VerifyReport['deleted']>): string =>
  `deleted, with signed tombstones: ${segments} segments with ${records} records, of ${from} to ${to}`

const plainLines = (text: string): string => text.split('\n').map(plain).join('\n')
