import { setTimeout as sleep } from 'node:timers/promises'
import { showRecords } from '../../audit/show.ts'
import { UsageError } from '../command.ts'
import type { Command, Given } from '../command.ts'
import { plain } from './inputs.ts'

/** Prints records. */
export const show: Command = {
  help: `Usage: bailiwick audit show DIR [options]

Prints the records of the log in DIR, a line each. It checks nothing: see "bailiwick audit verify".

Options:
  --user NAME          only of this person: subject or name
  --namespace NAME     only where the scope, a selector or what was sent names it
  --since TIME         only from then on: 2026-11-20T03:00:00Z, or a duration back from now such as 15m, 2h or 7d
  --decision DECISION  only allow, or only deny
  --follow             also what comes, until Ctrl-C
  --utc                times in UTC; without it local, with their offset
  --json               print the records as they stand in the log
`,
  options: {
    user: { type: 'string' },
    namespace: { type: 'string' },
    since: { type: 'string' },
    decision: { type: 'string' },
    follow: { type: 'boolean' },
    utc: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  words: 1,
  async run(given, terminal) {
    const [dir] = given.words
    if (dir === undefined) throw new UsageError('which directory?')
    const decision = given.option('decision') ?? null
    if (decision !== null && decision !== 'allow' && decision !== 'deny') {
      throw new UsageError('--decision is allow or deny')
    }
    const [user, namespace] = [given.option('user') ?? null, given.option('namespace') ?? null]
    const filter = { user, namespace, since: sinceOf(given), decision }
    try {
      for await (const { line, record } of showRecords(dir, filter, given.flag('follow') ? sleep : null)) {
        terminal.out(`${given.flag('json') ? line : row(record, given.flag('utc'))}\n`)
      }
      return 0
    } catch (error) {
      terminal.err(`${plain(error instanceof Error ? error.message : String(error))}\n`)
      return 1
    }
  },
}

function sinceOf(given: Given): number | null {
  const text = given.option('since')
  if (text === undefined) return null
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (count !== undefined) {
    const length = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit ?? ''] ?? 0
    return Date.now() - Number(count) * length
  }
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time))
    throw new UsageError('--since is a time such as 2026-11-20T03:00:00Z, or a duration such as 15m')
  return time
}

type Fields = Partial<Record<string, unknown>>

/** One record as a person reads it. */
function row(record: Fields, utc: boolean): string {
  const { ts, kind, request, decision, cluster, endpoint, path, reason, scope } = record
  const time = timeText(String(ts), utc)
  if (kind === 'decision') {
    const said = decision === 'deny' ? `deny ${text(reason)}` : `allow ${text(scope)}`
    return [
      time,
      `${text(request)}  ${whoOf(record)}  ${text(cluster)} ${text(endpoint ?? path)} ${queryOf(record)}`,
      said,
    ]
      .join('  ')
      .trimEnd()
  }
  if (kind === 'outcome') {
    const { status, ms, ended } = record
    return `${time}  ${text(request)}  ${text(status)} in ${text(ms)} ms, ${text(ended)}`
  }
  const { v: _v, seq: _seq, ts: _ts, log: _log, boot: _boot, kind: _kind, chain: _chain, ...rest } = record
  return `${time}  ${text(kind)}  ${plain(JSON.stringify(rest))}`
}

const text = (value: unknown): string =>
  plain(typeof value === 'string' ? value : value === null || value === undefined ? '-' : JSON.stringify(value))

function whoOf({ who }: Fields): string {
  const { name, subject }: Fields = Object(who)
  return who === null ? 'nobody known' : text(typeof name === 'string' && name !== '' ? name : subject)
}

function queryOf({ asked }: Fields): string {
  const pairs: readonly unknown[] = Array.isArray(asked) ? asked : []
  return pairs
    .filter((pair): pair is readonly unknown[] => Array.isArray(pair) && (pair[0] === 'query' || pair[0] === 'match[]'))
    .map(([, value]) => text(value))
    .join(' ')
}

function timeText(ts: string, utc: boolean): string {
  const time = new Date(ts)
  if (utc || Number.isNaN(time.getTime())) return plain(ts)
  const minutes = -time.getTimezoneOffset()
  const local = new Date(time.getTime() + minutes * 60_000).toISOString().slice(0, -1)
  const size = Math.abs(minutes)
  return `${local}${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`
}

const two = (count: number): string => String(count).padStart(2, '0')
