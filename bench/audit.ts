/**
 * What a durable record costs: `node bench/audit.ts [directory]`, about 10 seconds. The directory should be on the volume in question.
 * One run compares group commit with a sync for each record and with no sync at all, at several numbers of callers at once.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeFiles, type Files } from '../src/audit/files.ts'
import { openAuditLog, type AuditLog } from '../src/audit/log.ts'
import type { DecisionEntry } from '../src/audit/record.ts'

const cellMs = 900
const query = 'sum by (dst, status_code) (rate(response_total{namespace="payments",direction="outbound"}[5m]))'
const entry: DecisionEntry = {
  kind: 'decision',
  request: '0199c1d2-0000-7000-8000-000000000000',
  received: '2025-11-21T08:00:00.000Z',
  who: { issuer: 'https://id.example', subject: 'u-1', name: 'Ada', groups: ['payments', 'sre'], via: 'bearer' },
  from: { peer: '10.0.0.7', userAgent: 'Grafana/12.2.0' },
  claimed: { 'x-dashboard-uid': 'linkerd-top-line', 'x-panel-id': '4' },
  cluster: 'east',
  method: 'POST',
  endpoint: '/api/v1/query_range',
  path: '/api/v1/query_range',
  asked: [
    ['query', query],
    ['start', '1763712000'],
    ['end', '1763715600'],
    ['step', '15'],
  ],
  sent: [{ path: '/api/v1/query_range', params: [['query', query]] }],
  decision: 'allow',
  because: ['rules.csv:12'],
  scope: 'namespace=~"payments|payments-.*"',
  policy: 'sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae',
}

type Append = () => ReturnType<AuditLog['append']>

const unsynced: Files = {
  ...nodeFiles,
  create: async (path) => ({ ...(await nodeFiles.create(path)), datasync: () => Promise.resolve() }),
}

/** Each call waits for the one before: every record gets a write and a sync of its own. */
function oneByOne(append: Append): Append {
  let before: Promise<unknown> = Promise.resolve()
  return () => {
    const own = before.then(append)
    before = own
    return own
  }
}

const modes: { name: string; files: Files; wrap: (append: Append) => Append }[] = [
  { name: 'group commit', files: nodeFiles, wrap: (append) => append },
  { name: 'sync each', files: nodeFiles, wrap: oneByOne },
  { name: 'no sync', files: unsynced, wrap: (append) => append },
]

interface Cell {
  perSecond: number
  latencies: number[]
  perCommit: number
}

async function measure(dir: string, { files, wrap }: (typeof modes)[number], callers: number): Promise<Cell> {
  const log = openAuditLog({ dir, clock: () => new Date(), newId: randomUUID, files })
  const append = wrap(() => log.append(entry))
  for (let warm = 0; warm < 20; warm++) await append()
  const latencies: number[] = []
  const before = log.status()
  const start = performance.now()
  const call = async (): Promise<void> => {
    while (performance.now() - start < cellMs) {
      const asked = performance.now()
      const receipt = await append()
      if (!receipt.ok) throw new Error(receipt.error.reason)
      latencies.push(performance.now() - asked)
    }
  }
  await Promise.all(Array.from({ length: callers }, call))
  const perSecond = latencies.length / ((performance.now() - start) / 1000)
  const { commits } = log.status()
  await log.seal()
  return {
    perSecond,
    latencies: latencies.sort((a, b) => a - b),
    perCommit: latencies.length / (commits - before.commits),
  }
}

const base = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'audit-bench-'))
const row = (...cells: readonly (string | number)[]): void =>
  console.log(cells.map((cell) => String(cell).padStart(13)).join(''))
try {
  row('mode', 'callers', 'records/s', 'p50 ms', 'p99 ms', 'per commit', 'vs group')
  for (const callers of [1, 16, 256]) {
    let group = 0
    for (const [index, mode] of modes.entries()) {
      const { perSecond, latencies, perCommit } = await measure(join(base, `${callers}-${index}`), mode, callers)
      if (index === 0) group = perSecond
      const at = (share: number): string => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(3)
      row(
        mode.name,
        callers,
        Math.round(perSecond),
        at(0.5),
        at(0.99),
        perCommit.toFixed(1),
        `${(perSecond / group).toFixed(2)}x`,
      )
    }
  }
} finally {
  await rm(base, { recursive: true, force: true })
}
