import { readFile } from 'node:fs/promises'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { reviewLimits } from './limits.ts'
import { failure, startProcess } from './link.ts'
import type { BoxMessage, FromBox } from './protocol.ts'
import type { ReviewFailure, SqlTable } from './review.ts'

type Answer = Result<SqlTable, ReviewFailure>

const watchMs = 50
const pageBytes = 4096
/** What Node and DuckDB take before a query begins. */
const ownBytes = 300 * 1024 * 1024

let busy = false

/**
 * Runs one query of an auditor in a process that lives for it alone: a text can be found that makes the library crash, or
 * take memory that it does not count. So it is ended from here when it takes too long or too much.
 */
export async function runBox(message: BoxMessage, signal: AbortSignal): Promise<Answer> {
  if (busy) return fail(failure('busy', 'another query is being answered', 'try again when it is done'))
  busy = true
  try {
    return await runAlone(message, signal)
  } finally {
    busy = false
  }
}

async function runAlone(message: BoxMessage, signal: AbortSignal): Promise<Answer> {
  if (signal.aborted) return fail(failure('stopped', 'nobody waits for it any more', 'ask again'))
  const child = startProcess('./box-child.ts')
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const stop = (reason: string) => () => resolve(fail(failure('stopped', reason, 'ask for less')))
  const cancel = stop('nobody waits for it any more')
  const timer = setTimeout(stop(`it took more than ${reviewLimits.sqlMs / 1_000} s`), reviewLimits.sqlMs)
  const most = message.memoryBytes + ownBytes
  const watch = setInterval(
    () => void tooLarge(child.pid, most).then((large) => large && stop('it took too much memory')()),
    watchMs,
  )
  signal.addEventListener('abort', cancel)
  child.on('message', (said: FromBox) => resolve(said.is === 'no' ? fail(said.failure) : ok(tableOf(said))))
  child.once('error', (error) => resolve(fail(failure('unavailable', error.message, 'try again'))))
  child.once('exit', stop('it made the process end that answers queries'))
  child.stderr?.resume()
  child.send(message, () => {})
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    clearInterval(watch)
    signal.removeEventListener('abort', cancel)
    child.kill('SIGKILL')
  }
}

const tableOf = ({ columns, rows, cut }: Extract<FromBox, { is: 'table' }>): SqlTable => ({
  columns,
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the box makes them, of these types only.
  rows: rows as SqlTable['rows'],
  cut,
})

/** How much a process holds in memory; known on Linux only. */
async function tooLarge(pid: number | undefined, most: number): Promise<boolean> {
  try {
    const [, resident = '0'] = (await readFile(`/proc/${pid}/statm`, 'latin1')).split(' ')
    return Number(resident) * pageBytes > most
  } catch {
    return false
  }
}
