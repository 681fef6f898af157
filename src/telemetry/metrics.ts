import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** The steps of a request whose time is taken. */
export type Step = 'identify' | 'decide' | 'rewrite' | 'wait' | 'audit' | 'upstream' | 'total'

/** What is asked of the parts at scrape time. */
export interface Observed {
  audit(): {
    readonly open: boolean
    readonly queued: number
    readonly records: number
    readonly bestEffort: boolean
    /** Answers that left without a record. */
    readonly unrecorded: number
    /** How full the volume is, from 0 to 1; null where nobody looked yet. */
    readonly diskUsed: number | null
    readonly checkpoints: {
      readonly signed: boolean
      readonly failing: boolean
      readonly copyFailing: boolean
      /** When the newest one was made, in Unix seconds. */
      readonly last: number | null
    } | null
  }
  /** The segments of the record, by what `/metrics` calls them. */
  segments(): {
    readonly count: number
    readonly compressed: number
    readonly tombstones: number
    readonly bytes: number
    readonly deleted: number
    readonly held: boolean
    readonly blocked: boolean
    readonly failing: boolean
  }
  /** Searching the record; null where nobody does. */
  review(): { readonly ready: boolean; readonly indexed: number; readonly waiting: number } | null
  sinks(): readonly {
    readonly name: string
    readonly up: boolean
    readonly lagRecords: number
    readonly lagSeconds: number
    readonly taken: number
    readonly refused: number
    readonly missed: number
  }[]
  /** `rejected`: do the files hold one that was refused? */
  policy(): { readonly digest: string; readonly rules: number; readonly rejected: boolean }
  quota(): { readonly waiting: number; readonly people: number }
  issuers(): readonly { readonly issuer: string; readonly keyAge: number | null }[]
}

/** The gateway's own numbers. Labels hold no caller, query or namespace: whoever scrapes them may see no rights. */
export interface Metrics {
  request(labels: { cluster: string; endpoint: string; decision: 'allow' | 'deny'; reason: string }): void
  step(step: Step, seconds: number): void
  policyReload(result: 'loaded' | 'rejected'): void
  /** The text exposition, and its content type. */
  expose(): Promise<{ readonly contentType: string; readonly text: string }>
}

const buckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Registers everything in a registry of its own, so that two gateways in one process do not mix. */
export function createMetrics(observed: Observed): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const requests = new Counter({
    name: 'bailiwick_requests_total',
    help: 'Requests by cluster, endpoint and decision; reason is empty for an allow.',
    labelNames: ['cluster', 'endpoint', 'decision', 'reason'],
    registers,
  })
  const steps = new Histogram({
    name: 'bailiwick_step_duration_seconds',
    help: 'Time taken by each step of a request.',
    labelNames: ['step'],
    buckets,
    registers,
  })
  const reloads = new Counter({
    name: 'bailiwick_policy_reloads_total',
    help: 'Policies that came into force, or were refused, while the gateway ran.',
    labelNames: ['result'],
    registers,
  })
  for (const result of ['loaded', 'rejected']) reloads.inc({ result }, 0)
  observe(registry, observed)
  observeSegments(gaugeIn(registry), () => observed.segments())
  observeReview(gaugeIn(registry), () => observed.review())
  observeSinks(registry, () => observed.sinks())
  observePolicy(registry, observed)
  return {
    request: (labels) => requests.inc(labels),
    step: (step, seconds) => steps.observe({ step }, seconds),
    policyReload: (result) => reloads.inc({ result }),
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}

/** Makes gauges whose value is fetched when they are scraped. */
const gaugeIn =
  (registry: Registry) =>
  (name: string, help: string, value: () => number): void => {
    const made: Gauge = new Gauge({ name, help, registers: [registry], collect: () => made.set(value()) })
  }

function observe(registry: Registry, observed: Observed): void {
  const gauge = gaugeIn(registry)
  gauge('bailiwick_audit_open', '1 while audit records can be made durable, else 0 and nothing is answered.', () =>
    Number(observed.audit().open),
  )
  gauge('bailiwick_audit_queue', 'Audit records waiting to become durable.', () => observed.audit().queued)
  gauge('bailiwick_audit_records', 'Audit records made durable since start.', () => observed.audit().records)
  gauge('bailiwick_audit_best_effort', '1 where answers may leave without an audit record (audit.mode), else 0.', () =>
    Number(observed.audit().bestEffort),
  )
  gauge(
    'bailiwick_audit_unrecorded',
    'Records that could not be kept since start, though what they tell of was done: with best effort only.',
    () => observed.audit().unrecorded,
  )
  gauge(
    'bailiwick_audit_disk_used_ratio',
    'How full the volume of the audit record is, from 0 to 1; 0 before the first look.',
    () => observed.audit().diskUsed ?? 0,
  )
  observeCheckpoints(gauge, () => observed.audit().checkpoints)
  gauge(
    'bailiwick_waiting_requests',
    'Requests that wait for an earlier one of the same person to end.',
    () => observed.quota().waiting,
  )
  gauge('bailiwick_counted_people', 'People whose requests are counted at the moment.', () => observed.quota().people)
  const keyAge: Gauge<'issuer'> = new Gauge({
    name: 'bailiwick_jwks_age_seconds',
    help: "Seconds since an issuer's keys were last fetched; absent until they were.",
    labelNames: ['issuer'],
    registers: [registry],
    collect() {
      keyAge.reset()
      for (const { issuer, keyAge: age } of observed.issuers()) if (age !== null) keyAge.set({ issuer }, age)
    },
  })
}

/** Adds a gauge. */
type AddGauge = (name: string, help: string, value: () => number) => void

function observeCheckpoints(gauge: AddGauge, checkpoints: () => ReturnType<Observed['audit']>['checkpoints']): void {
  gauge('bailiwick_audit_checkpoints_signed', '1 where audit checkpoints are signed, else 0.', () =>
    Number(checkpoints()?.signed === true),
  )
  gauge('bailiwick_audit_checkpoint_failing', '1 while no audit checkpoint can be made, else 0.', () =>
    Number(checkpoints()?.failing === true),
  )
  gauge(
    'bailiwick_audit_checkpoint_copy_failing',
    '1 while audit checkpoints do not get to their second place, else 0.',
    () => Number(checkpoints()?.copyFailing === true),
  )
  gauge(
    'bailiwick_audit_checkpoint_timestamp_seconds',
    'When the newest audit checkpoint was made; 0 before the first.',
    () => checkpoints()?.last ?? 0,
  )
}

function observeSegments(gauge: AddGauge, segments: () => ReturnType<Observed['segments']>): void {
  gauge('bailiwick_audit_segments', 'Segments of the audit record.', () => segments().count)
  gauge('bailiwick_audit_segments_compressed', 'Those of them that are compressed.', () => segments().compressed)
  gauge(
    'bailiwick_audit_tombstones',
    'Deleted segments of which a signed statement is left.',
    () => segments().tombstones,
  )
  gauge('bailiwick_audit_bytes', 'Bytes of all segments.', () => segments().bytes)
  gauge('bailiwick_audit_segments_deleted', 'Segments deleted since start.', () => segments().deleted)
  gauge('bailiwick_audit_hold', '1 while a legal hold keeps every segment, else 0.', () => Number(segments().held))
  gauge(
    'bailiwick_audit_retention_blocked',
    '1 while no segment is deleted, though some may be kept too long, else 0.',
    () => Number(segments().blocked),
  )
  gauge(
    'bailiwick_audit_retention_failing',
    '1 while segments cannot be compressed or deleted, or are damaged, else 0.',
    () => Number(segments().failing),
  )
}

function observeReview(gauge: AddGauge, review: () => ReturnType<Observed['review']>): void {
  gauge('bailiwick_review_ready', '1 while the record can be searched with a browser, else 0.', () =>
    Number(review()?.ready === true),
  )
  gauge('bailiwick_review_indexed_records', 'Records in the sorted index.', () => review()?.indexed ?? 0)
  gauge(
    'bailiwick_review_waiting_records',
    'Records that a search still reads from the segments.',
    () => review()?.waiting ?? 0,
  )
}

function observeSinks(registry: Registry, sinks: () => ReturnType<Observed['sinks']>): void {
  for (const [name, help, value] of [
    ['up', '1 while an audit sink takes records, else 0.', (one) => Number(one.up)],
    ['lag_records', 'Durable records that an audit sink does not have yet.', (one) => one.lagRecords],
    ['lag_seconds', 'Age of the first record that an audit sink does not have yet.', (one) => one.lagSeconds],
    ['taken_records', 'Records that an audit sink took since start.', (one) => one.taken],
    ['refused_records', 'Records that an audit sink refused since start, set aside.', (one) => one.refused],
    [
      'missed_records',
      'Records deleted before an audit sink had them, as far as it was seen since start.',
      (one) => one.missed,
    ],
  ] as const satisfies readonly (readonly [
    string,
    string,
    (sink: ReturnType<Observed['sinks']>[number]) => number,
  ])[]) {
    const gauge: Gauge<'sink'> = new Gauge({
      name: `bailiwick_audit_sink_${name}`,
      help,
      labelNames: ['sink'],
      registers: [registry],
      collect() {
        gauge.reset()
        for (const sink of sinks()) gauge.set({ sink: sink.name }, value(sink))
      },
    })
  }
}

function observePolicy(registry: Registry, observed: Observed): void {
  const gauge = gaugeIn(registry)
  gauge('bailiwick_policy_rules', 'Rules of the policy in force.', () => observed.policy().rules)
  gauge('bailiwick_policy_rejected', '1 while the files hold a policy that was refused, else 0.', () =>
    Number(observed.policy().rejected),
  )
  const policy: Gauge<'digest'> = new Gauge({
    name: 'bailiwick_policy_info',
    help: 'Always 1; the label digest names the policy in force.',
    labelNames: ['digest'],
    registers: [registry],
    collect() {
      policy.reset()
      policy.set({ digest: observed.policy().digest }, 1)
    },
  })
}
