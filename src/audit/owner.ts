import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { errorCode } from './failure.ts'

/** The process that writes in a directory, told apart from every other one that had or will have its pid. */
export interface Owner {
  readonly pid: number
  readonly boot: string
  readonly host: string
  /** Kernel boot id and start tick of the process (Linux); empty where the system does not tell. */
  readonly born: string
}

/** What a process can know about another owner. */
export type Standing = 'mine' | 'dead' | 'running' | 'out of sight'

/** This process, under the id of its boot. */
export async function thisProcess(boot: string): Promise<Owner> {
  return { pid: process.pid, boot, host: hostname(), born: await birthOf(process.pid) }
}

/** Reads an owner back; one without a host, whom nobody can look up, when the text names none. */
export function parseOwner(text: string): Owner {
  const nobody: Owner = { pid: 0, boot: '', host: '', born: '' }
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch {
    return nobody
  }
  if (typeof found !== 'object' || found === null) return nobody
  const { pid, boot, host, born } = found as Partial<Record<keyof Owner, unknown>>
  if (typeof pid !== 'number' || typeof boot !== 'string' || typeof host !== 'string' || typeof born !== 'string')
    return nobody
  return { pid, boot, host, born }
}

/** Whether an owner still lives, as far as `me` can tell. */
export async function standingOf(holder: Owner, me: Owner): Promise<Standing> {
  if (holder.boot === me.boot) return 'mine'
  // Another pod on a shared volume: its pids mean nothing here.
  if (holder.host !== me.host) return 'out of sight'
  // A restarted container has a new process under the old pid, often 1: the pid alone would name ourselves.
  if (holder.born !== '' && me.born !== '') return (await birthOf(holder.pid)) === holder.born ? 'running' : 'dead'
  return isRunning(holder.pid) ? 'running' : 'dead'
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

/** proc_pid_stat(5): after the name in parentheses come the state and, as the 20th value, the start tick. */
async function birthOf(pid: number): Promise<string> {
  try {
    const kernel = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    const values = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return values[0] === 'Z' || values[0] === 'X' ? '' : `${kernel.trim()}:${values[19] ?? ''}`
  } catch {
    return ''
  }
}
