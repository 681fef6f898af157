import type { AuditExportedEntry } from '../../audit/record.ts'
import type { Identity } from '../../identity/identity.ts'
import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import type { Exported, ExportFormat, ReviewFilter, Within } from '../../review/review.ts'
import type { PageParts, Reviewing } from '../answer.ts'
import { exportLife, maxExporting, maxExports } from './limits.ts'

/** A file that is being made for somebody, or was. */
export interface ExportJob {
  readonly id: string
  readonly owner: string
  readonly format: ExportFormat
  readonly within: Within
  /** When it was begun, in Unix milliseconds. */
  readonly begun: number
  /** About how many records there will be; null where that is not known. */
  readonly expected: number | null
  records: number
  state:
    | { readonly is: 'running' }
    | { readonly is: 'ready'; readonly file: Exported; readonly until: number }
    | { readonly is: 'failed'; readonly reason: string; readonly remedy: string }
}

/** What is asked for. */
export interface ExportOrder {
  readonly id: string
  readonly identity: Identity
  readonly format: ExportFormat
  readonly filter: ReviewFilter
  readonly within: Within
  readonly expected: number | null
}

/** The exports under way and those that wait to be taken. */
export interface Exports {
  /** Begins one; the error says why not. */
  begin(order: ExportOrder): Result<ExportJob, string>
  /** Somebody's own export; null where they have none of this id. */
  find(id: string, identity: Identity): ExportJob | null
}

type Parts = Pick<PageParts, 'clock' | 'log'> & { readonly review: Reviewing | null }

/** Keeps them in memory, and each file for a while. */
export function openExports(parts: Parts): Exports {
  const jobs = new Map<string, ExportJob>()
  const sweep = (): void => {
    for (const [id, job] of jobs) if (isOver(job, parts.clock())) void drop(jobs, id)
  }
  return {
    begin(order) {
      sweep()
      const owner = ownerOf(order.identity)
      if ([...jobs.values()].some((job) => job.owner === owner && job.state.is === 'running')) {
        return fail('another export of yours is under way: wait for it')
      }
      if (jobs.size >= maxExports) return fail('too many exports are kept just now: try again in some minutes')
      const { id, format, within, expected } = order
      const begun = parts.clock()
      const job: ExportJob = { id, owner, format, within, begun, expected, records: 0, state: { is: 'running' } }
      jobs.set(id, job)
      void run(parts, job, order).then(() => setTimeout(() => void drop(jobs, id), exportLife).unref())
      return ok(job)
    },
    find(id, identity) {
      sweep()
      const job = jobs.get(id)
      return job?.owner === ownerOf(identity) ? job : null
    },
  }
}

const ownerOf = ({ issuer, subject }: Identity): string => JSON.stringify([issuer, subject])

function isOver({ state, begun }: ExportJob, now: number): boolean {
  if (state.is === 'running') return false
  return now >= (state.is === 'ready' ? state.until : begun + exportLife)
}

async function drop(jobs: Map<string, ExportJob>, id: string): Promise<void> {
  const job = jobs.get(id)
  jobs.delete(id)
  if (job?.state.is === 'ready') await job.state.file.done().catch(() => undefined)
}

/** Makes the file. It can be taken only when the record says what is in it. */
async function run({ review: reviewing, clock, log }: Parts, job: ExportJob, order: ExportOrder): Promise<void> {
  if (reviewing === null) return
  const { filter, within, format } = order
  const signal = AbortSignal.timeout(maxExporting)
  const exported = await reviewing.review.export(filter, within, format, (count) => void (job.records = count), signal)
  const entry: AuditExportedEntry = {
    kind: 'audit.exported',
    request: job.id,
    format,
    records: exported.ok ? exported.value.records : job.records,
    bytes: exported.ok ? exported.value.bytes : 0,
    sha256: exported.ok ? exported.value.sha256 : '',
    ended: exported.ok ? 'complete' : 'failed',
  }
  const recorded = await reviewing.append(entry)
  if (exported.ok && recorded.ok) {
    job.records = exported.value.records
    job.state = { is: 'ready', file: exported.value, until: clock() + exportLife }
    return
  }
  if (exported.ok) await exported.value.done().catch(() => undefined)
  const { reason, remedy } = exported.ok
    ? { reason: 'no record of it could be kept', remedy: 'tell the operator' }
    : exported.error
  log.warn({ request: job.id, reason }, 'an export of the record failed')
  job.state = { is: 'failed', reason, remedy }
}
