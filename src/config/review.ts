import { resolve } from 'node:path'
import { z } from 'zod'
import { nonEmpty, settings, size } from './values.ts'

const [leastMemory, mostThreads] = [256 * 1024 * 1024, 64]

/** The `review` section within `audit`. */
export const review = settings({
  index: nonEmpty.optional(),
  memory: size.refine((bytes) => bytes >= leastMemory, 'must be at least 256MiB').prefault('512MiB'),
  threads: z
    .int({ error: 'must be a whole number' })
    .min(1, 'must be at least 1')
    .max(mostThreads, `must be at most ${mostThreads}`)
    .default(2),
})

type ReviewSettings = z.output<typeof review>

/** How auditors read the record. */
export interface ReviewConfig {
  /** Where the index is. */
  readonly index: string
  readonly memoryBytes: number
  readonly threads: number
}

/** @param directory the audit directory, as an absolute path: the index is in it unless said otherwise */
export function toReview({ index, memory, threads }: ReviewSettings, base: string, directory: string): ReviewConfig {
  return {
    index: index === undefined ? resolve(directory, 'index') : resolve(base, index),
    memoryBytes: memory,
    threads,
  }
}
