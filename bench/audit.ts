/**
 * What a durable record costs: `node bench/audit.ts [directory]`, about 45 seconds. The directory should be on the volume in question.
 * One run compares group commit with the same and signed checkpoints, with a sync for each record and with no sync at all, at
 * several numbers of callers at once: medians of a few rounds.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CheckpointOptions } from '../src/audit/checkpoint-options.ts'
import { nodeFiles, type Files } from '../src/audit/files.ts'
import { generateKeyPair, readSigningKey } from '../src/audit/keys.ts'
import { openAuditLog, type AuditLog } from '../src/audit/log.ts'
import type { DecisionEntry } from '../src/audit/record.ts'

const cellMs = 500
const rounds = 5
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

interface Mode {
  readonly name: string
  readonly files: Files
  readonly wrap: (append: Append) => Append
  readonly checkpoints?: CheckpointOptions
}

const asIs = (append: Append): Append => append
const checkpoints: CheckpointOptions = {
  key: readSigningKey(generateKeyPair().privatePem),
  previousKey: null,
  copyTo: null,
  // Four times as often as usual, so that each cell has some.
  every: 250,
  idle: 60_000,
}

const modes: readonly Mode[] = [
  { name: 'group commit', files: nodeFiles, wrap: asIs },
  // What differs between these two is the machine's doing: no other difference means more.
  { name: 'again', files: nodeFiles, wrap: asIs },
  { name: '+ checkpoints', files: nodeFiles, wrap: asIs, checkpoints },
  { name: 'sync each', files: nodeFiles, wrap: oneByOne },
  { name: 'no sync', files: unsynced, wrap: asIs },
]

interface Cell {
  readonly perSecond: number
  readonly latencies: readonly number[]
  readonly perCommit: number
  /** Microseconds of the processor for each record. */
  readonly cpu: number
}

async function measure(dir: string, { files, wrap, checkpoints }: Mode, callers: number): Promise<Cell> {
  const log = openAuditLog({
    dir,
    clock: () => new Date(),
    newId: randomUUID,
    files,
    ...(checkpoints === undefined ? {} : { checkpoints }),
  })
  const append = wrap(() => log.append(entry))
  for (let warm = 0; warm < 20; warm++) await append()
  const latencies: number[] = []
  const before = log.status()
  const cpu = process.cpuUsage()
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
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const { commits } = log.status()
  await log.seal()
  return {
    perSecond: latencies.length / seconds,
    latencies: latencies.sort((a, b) => a - b),
    perCommit: latencies.length / (commits - before.commits),
    cpu: (user + system) / latencies.length,
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
const base = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'audit-bench-'))
const row = (...cells: readonly (string | number)[]): void =>
  console.log(cells.map((cell) => String(cell).padStart(13)).join(''))
try {
  row('mode', 'callers', 'records/s', 'p50 ms', 'p99 ms', 'per commit', 'µs of CPU', 'vs group')
  for (const callers of [1, 16, 256]) {
    const cells = modes.map((): Cell[] => [])
    // In turns: on a machine that others use, only neighbours in time can be compared.
    for (let round = 0; round < rounds; round++) {
      for (const place of modes.keys()) {
        const index = (place + round) % modes.length
        const mode = modes[index]
        if (mode !== undefined)
          cells[index]?.push(await measure(join(base, `${callers}-${round}-${index}`), mode, callers))
      }
    }
    for (const [index, mode] of modes.entries()) {
      const own = cells[index] ?? []
      const at = (share: number): string =>
        median(own.map(({ latencies }) => latencies[Math.floor(latencies.length * share)] ?? 0)).toFixed(3)
      row(
        mode.name,
        callers,
        Math.round(median(own.map(({ perSecond }) => perSecond))),
        at(0.5),
        at(0.99),
        median(own.map(({ perCommit }) => perCommit)).toFixed(1),
        median(own.map(({ cpu }) => cpu)).toFixed(1),
        `${median(own.map(({ perSecond }, round) => perSecond / (cells[0]?.[round]?.perSecond ?? 1))).toFixed(2)}x`,
      )
    }
  }
} finally {
  await rm(base, { recursive: true, force: true })
}
