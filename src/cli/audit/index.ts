import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { openReview } from '../../review/open.ts'
import { UsageError } from '../command.ts'
import type { Command } from '../command.ts'
import { plain } from './inputs.ts'
import { settled, showProgress } from './reading.ts'

const memoryBytes = 1024 * 1024 * 1024

/** Makes the index of a log anew. */
export const index: Command = {
  help: `Usage: bailiwick audit index DIR [--index PATH]

Makes the index by which auditors search the log in DIR anew, and says how many records are in it. The index can be
removed at any time; the gateway makes it by itself. This is for a log that no gateway writes to.

Exit code 0: the index is made; 1: it could not be made; 2: the words were not understood.

Options:
  --index PATH   where the index is, unless it is DIR/index
`,
  options: { index: { type: 'string' } },
  words: 1,
  async run(given, terminal) {
    const [dir] = given.words
    if (dir === undefined) throw new UsageError('which directory?')
    const directory = resolve(dir)
    const place = resolve(given.option('index') ?? join(directory, 'index'))
    try {
      // Otherwise a misspelt directory would be an empty log.
      await stat(directory)
      const progress = showProgress(terminal)
      const review = openReview({ directory, index: place, anew: true, memoryBytes, threads: 2 })
      try {
        const status = await settled(review, true, progress)
        if (status.failure !== null) {
          terminal.err(`${plain(status.failure.reason)}: ${plain(status.failure.remedy)}\n`)
          return 1
        }
        const rest = status.waiting === 0 ? '' : `; ${status.waiting} are in a segment that was not closed`
        terminal.out(`${status.indexed} records are in the index${rest}\n`)
        return 0
      } finally {
        await review.stop()
      }
    } catch (error) {
      terminal.err(`${plain(error instanceof Error ? error.message : String(error))}\n`)
      return 1
    }
  },
}
