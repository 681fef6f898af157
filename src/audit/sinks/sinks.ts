import { fail, ok, type Result } from '../../result.ts'
import type { AuditFailure } from '../failure.ts'
import { nodeFiles } from '../files.ts'
import { SinkLoop, type SinkParts } from './loop.ts'
import { openOtlp } from './otlp.ts'
import { openPostgres } from './postgres.ts'
import { sinkLimits, type Receiver, type SinkLimits, type SinkOptions, type SinkStatus } from './sink.ts'
import type { Standing } from './waiting.ts'

export type { SinkOptions, SinkStatus }

/** The sinks of a log. */
export interface Sinks {
  status(): readonly SinkStatus[]
  /**
   * Settles when every required sink has the record of this receipt, or one is known not to get it in time; at once where none
   * is required. A failure means: do not answer. Never rejects.
   */
  confirmed(standing: Standing, signal?: AbortSignal): Promise<Result<void, AuditFailure>>
  /** Hands over what can be within a bounded time, also what was written just before. Never rejects. */
  stop(): Promise<void>
}

/** What sinks need from their builder. */
export type OpenSinks = Omit<SinkParts, 'files' | 'limits'> & {
  readonly options: readonly SinkOptions[]
  readonly limits?: Partial<SinkLimits>
  /** The file operations; those of the system when not given. */
  readonly files?: SinkParts['files']
  /** Opens what is at the other end; the real thing when not given. */
  readonly connect?: (options: SinkOptions) => Receiver
}

/** Begins to hand over the record of a directory, each sink in a loop of its own, from where its cursor stands. */
export function openSinks({ options, limits, files = nodeFiles, connect = open, ...rest }: OpenSinks): Sinks {
  const parts: SinkParts = { ...rest, files, limits: { ...sinkLimits, ...limits } }
  const loops = options.map((one) => new SinkLoop(one, connect(one), parts))
  const required = loops.filter((loop) => loop.options.required)
  return {
    status: () => loops.map((loop) => loop.status()),
    confirmed: async (standing, signal) => {
      const answers = required.map(async (loop) => {
        const confirmed = loop.waiting.confirmed(standing, signal)
        loop.wake()
        return await confirmed
      })
      for (const answer of await Promise.all(answers)) if (!answer.ok) return fail(answer.error)
      return ok(undefined)
    },
    stop: async () => {
      await Promise.all(loops.map((loop) => loop.stop()))
    },
  }
}

function open({ to }: SinkOptions): Receiver {
  return to.kind === 'otlp' ? openOtlp(to) : openPostgres(to)
}
