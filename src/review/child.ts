// The process that reads the index: started by `link.ts`, it talks to the gateway over its channel and ends with it.
import { nodeFiles } from '../audit/files.ts'
import { ReviewError } from './failure.ts'
import { Librarian } from './librarian.ts'
import { loadDuck, messageOf } from './duck.ts'
import { reviewLimits } from './limits.ts'
import type { FromChild, OpenMessage, Question, ToChild } from './protocol.ts'
import type { ReviewFailure } from './review.ts'

const say = (message: FromChild): void => {
  if (process.connected) process.send?.(message)
}

let librarian: Promise<Librarian | null> = Promise.resolve(null)
const stops = new Map<number, AbortController>()
const waiting: (() => void)[] = []
let busy = 0

process.umask(0o077)
process.title = 'bailiwick review'
// Whatever is half done is as good as after a crash: the index bears that.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
process.on('message', (message: ToChild) => {
  if (message.is === 'open') librarian = open(message)
  else if (message.is === 'cancel') stops.get(message.id)?.abort()
  else void answer(message.id, message.question)
})

/** Never rejects: null where it cannot be opened, of which the gateway is told. */
async function open(options: OpenMessage): Promise<Librarian | null> {
  const duck = await loadDuck()
  if (!duck.ok) {
    const remedy = 'install the optional package @duckdb/node-api for this platform: npm install'
    const reason = `DuckDB cannot be loaded: ${duck.error}`
    say({ is: 'failed', failure: { code: 'unavailable', reason, remedy }, forGood: true })
    return null
  }
  try {
    const opened = await Librarian.open(duck.value, nodeFiles, options, (status, problem) => {
      say({ is: 'status', status, problem })
    })
    say({ is: 'opened' })
    return opened
  } catch (error) {
    say({ is: 'failed', failure: failureOf(error, false), forGood: false })
    return null
  }
}

async function answer(id: number, question: Question): Promise<void> {
  const stop = new AbortController()
  stops.set(id, stop)
  await turn()
  try {
    stop.signal.throwIfAborted()
    const ready = await librarian
    if (ready === null) throw new Error('it was not opened')
    const value = await ready.answer(question, (records) => say({ is: 'progress', id, records }), stop.signal)
    say({ is: 'answer', id, value })
  } catch (error) {
    say({ is: 'no', id, failure: failureOf(error, stop.signal.aborted) })
  } finally {
    stops.delete(id)
    done()
  }
}

/** Waits until fewer than so many are worked on. */
async function turn(): Promise<void> {
  if (busy < reviewLimits.atOnce) busy++
  // Whoever is done hands its turn on.
  else await new Promise<void>((resolve) => waiting.push(resolve))
}

function done(): void {
  const next = waiting.shift()
  if (next === undefined) busy--
  else next()
}

function failureOf(error: unknown, aborted: boolean): ReviewFailure {
  if (error instanceof ReviewError) return error.failure
  if (aborted) return { code: 'stopped', reason: 'it was stopped', remedy: 'ask for less, or for a shorter time' }
  const remedy = 'try again; if it stays, remove the index: it is made anew from the log'
  return { code: 'unavailable', reason: `the index cannot be read: ${messageOf(error)}`, remedy }
}
