import { userInfo } from 'node:os'
import { nodeFiles } from '../../audit/files.ts'
import { beginHold, endHold, readHold } from '../../audit/hold.ts'
import { segmentFiles } from '../../audit/read-segments.ts'
import { UsageError } from '../command.ts'
import type { Command, Terminal } from '../command.ts'
import { plain } from './inputs.ts'

/** Keeps a log from being deleted. */
export const hold: Command = {
  help: `Usage: bailiwick audit hold DIR [--because TEXT [--by NAME] | --release]

A legal hold: while it lasts, the gateway deletes nothing of the log in DIR, however old or large it is. It is a file in
DIR; a running gateway sees it within a minute and records it, and its end too. Without options: says whether there is
one. Exit code 0: done; 1: it could not be done; 2: the command line was not understood.

Options:
  --because TEXT  begin a hold, or change why there is one
  --by NAME       on whose word; default: the user of this command
  --release       end it
`,
  options: { because: { type: 'string' }, by: { type: 'string' }, release: { type: 'boolean' } },
  words: 1,
  async run(given, terminal) {
    const [dir] = given.words
    if (dir === undefined) throw new UsageError('which directory?')
    const because = given.option('because')
    const release = given.flag('release')
    if (because?.trim() === '') throw new UsageError('--because is empty: say why')
    if (because !== undefined && release) throw new UsageError('--because begins a hold, --release ends one: not both')
    if (because === undefined && given.option('by') !== undefined) throw new UsageError('--by goes with --because')
    const problem = await notALog(dir)
    if (problem !== null) return failed(terminal, problem)
    if (release) return await released(terminal, dir)
    if (because === undefined) return await told(terminal, dir)
    const by = given.option('by') ?? userName()
    const begun = await beginHold(nodeFiles, dir, { by, because, since: new Date().toISOString() })
    return begun.ok ? await told(terminal, dir) : failed(terminal, `${begun.error.reason}: ${begun.error.remedy}`)
  },
}

/** A container's user often has no name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `user ${process.getuid?.() ?? 'unknown'}`
  }
}

/** A hold in a wrong directory would hold nothing. */
async function notALog(dir: string): Promise<string | null> {
  try {
    return (await segmentFiles(nodeFiles, dir)).length === 0 ? `there is no audit log in ${dir}` : null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function told(terminal: Terminal, dir: string): Promise<number> {
  const held = await readHold(nodeFiles, dir)
  terminal.out(
    held === null
      ? 'no hold: what is older or larger than configured is deleted\n'
      : `held since ${plain(held.since)} by ${plain(held.by)}: ${plain(held.because)}\n`,
  )
  return 0
}

async function released(terminal: Terminal, dir: string): Promise<number> {
  const held = await readHold(nodeFiles, dir)
  const ended = await endHold(nodeFiles, dir)
  if (!ended.ok) return failed(terminal, `${ended.error.reason}: ${ended.error.remedy}`)
  terminal.out(held === null ? 'there was no hold\n' : `released: held since ${plain(held.since)}\n`)
  return 0
}

function failed(terminal: Terminal, reason: string): number {
  terminal.err(`${plain(reason)}\n`)
  return 1
}
