import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { reviewLimits } from './limits.ts'
import type { FromChild, OpenMessage, Question, ToChild } from './protocol.ts'
import type { ReviewFailure, ReviewStatus } from './review.ts'

interface Waiting {
  settle(result: Result<unknown, ReviewFailure>): void
  progress(records: number): void
}

export const failure = (code: ReviewFailure['code'], reason: string, remedy: string): ReviewFailure => ({
  code,
  reason,
  remedy,
})

/** Starts a process of this room. It inherits nothing of the environment: there are secrets in it. */
export function startProcess(file: string): ChildProcess {
  const child = fork(new URL(file, import.meta.url), [], {
    env: { TZ: 'UTC' },
    execArgv: ['--max-old-space-size=512'],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  child.unref()
  child.channel?.unref()
  return child
}

const gone = failure('unavailable', 'the process that reads the index ended', 'try again in a few seconds')
const stopping = failure('unavailable', 'the gateway is ending', 'try again when it is there')
const cancelled = failure('stopped', 'nobody waits for it any more', 'ask again')
const tooMany = failure('busy', `${reviewLimits.waiting} questions wait already`, 'try again in a few seconds')

/** The child that reads the index: started, asked, and started again when it dies. */
export class Link {
  readonly #options: OpenMessage
  readonly #said: (problem: string) => void
  readonly #waiting = new Map<number, Waiting>()
  #child: ChildProcess | null = null
  #status: ReviewStatus = { state: 'starting', indexed: 0, waiting: 0, failure: null }
  #timer: NodeJS.Timeout | undefined
  #numbers = 0
  #pause: number = reviewLimits.restartMs
  #stopped = false

  constructor(options: OpenMessage, said: (problem: string) => void) {
    this.#options = options
    this.#said = said
    this.#start()
  }

  get status(): ReviewStatus {
    return this.#status
  }

  /** Asks, for at most so many milliseconds. Never rejects. */
  ask(
    question: Question,
    ms: number,
    signal: AbortSignal,
    progress: (records: number) => void = () => {},
  ): Promise<Result<unknown, ReviewFailure>> {
    if (this.#stopped) return Promise.resolve(fail(stopping))
    if (this.#child === null) return Promise.resolve(fail(this.#status.failure ?? gone))
    if (signal.aborted) return Promise.resolve(fail(cancelled))
    const full = this.#waiting.size >= reviewLimits.waiting && question.method !== 'giveBack'
    if (full) return Promise.resolve(fail(tooMany))
    const id = ++this.#numbers
    return new Promise((resolve) => {
      const give = (why: ReviewFailure): void => {
        this.#tell({ is: 'cancel', id })
        settle(fail(why))
      }
      const stop = (): void => give(cancelled)
      const timer = setTimeout(() => {
        give(failure('stopped', `it took more than ${ms / 1_000} s`, 'ask for less, or for a shorter time'))
      }, ms)
      const settle = (result: Result<unknown, ReviewFailure>): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', stop)
        this.#waiting.delete(id)
        resolve(result)
      }
      signal.addEventListener('abort', stop)
      this.#waiting.set(id, { settle, progress })
      this.#tell({ is: 'ask', id, question })
    })
  }

  /** Ends the child. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    const child = this.#child
    this.#child = null
    this.#settleAll(stopping)
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.ref()
    child.kill('SIGKILL')
    await ended
  }

  #start(): void {
    const child = startProcess('./child.ts')
    this.#child = child
    let errors = ''
    child.stderr?.on('data', (text: Buffer) => {
      errors = (errors + text.toString('utf8')).slice(-2_000)
    })
    child.on('message', (message: FromChild) => {
      if (this.#child === child) this.#hear(message)
    })
    child.once('error', (error) => this.#ended(child, error.message))
    child.once('exit', (code, signal) => this.#ended(child, `${signal ?? `code ${code}`} ${errors}`.trim()))
    this.#tell({ is: 'open', ...this.#options })
  }

  #tell(message: ToChild): void {
    // A child that is just ending is told of by its exit.
    if (this.#child?.connected === true) this.#child.send(message, () => {})
  }

  #hear(message: FromChild): void {
    switch (message.is) {
      case 'opened':
        this.#pause = reviewLimits.restartMs
        return
      case 'failed':
        return this.#fail(message.failure, message.forGood)
      case 'status': {
        const { status, problem } = message
        if (problem !== null && problem !== this.#status.failure?.reason) this.#said(problem)
        const remedy = 'see whether the disk is full, and what "bailiwick audit verify" says of the log'
        this.#status = { ...status, failure: problem === null ? null : failure('unavailable', problem, remedy) }
        return
      }
      case 'answer':
        return this.#waiting.get(message.id)?.settle(ok(message.value))
      case 'no':
        return this.#waiting.get(message.id)?.settle(fail(message.failure))
      case 'progress':
        return this.#waiting.get(message.id)?.progress(message.records)
    }
  }

  #fail(why: ReviewFailure, forGood: boolean): void {
    const child = this.#child
    this.#status = { ...this.#status, state: 'failed', failure: why }
    this.#said(why.reason)
    this.#settleAll(why)
    if (forGood) this.#child = null
    // Otherwise it is started again when it has ended.
    child?.kill('SIGKILL')
  }

  #settleAll(why: ReviewFailure): void {
    for (const waiting of this.#waiting.values()) waiting.settle(fail(why))
  }

  #ended(child: ChildProcess, how: string): void {
    if (this.#child !== child) return
    this.#child = null
    // One that said why it cannot work was ended for that.
    const why = this.#status.state === 'failed' ? (this.#status.failure ?? gone) : gone
    if (why === gone) this.#said(`the process that reads the index ended: ${how}`)
    this.#status = { ...this.#status, state: 'failed', failure: why }
    this.#settleAll(why)
    this.#timer = setTimeout(() => this.#start(), this.#pause)
    this.#timer.unref()
    this.#pause = Math.min(reviewLimits.restartMostMs, this.#pause * 2)
  }
}
