import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

/** A program of somebody else's that runs on loopback. */
export interface Program {
  readonly log: () => string
  /** SIGTERM, and SIGKILL after ten seconds. */
  stop(): Promise<void>
}

/**
 * Starts a program and waits until it is ready.
 * @param ready is asked again and again; an error means no
 * @throws Error with the end of its output when it ends, or is not ready within a minute
 */
export async function startProgram(
  binary: string,
  args: readonly string[],
  ready: () => Promise<boolean>,
): Promise<Program> {
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const orphaned = (): void => void child.kill('SIGTERM')
  process.once('exit', orphaned)
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (text = (text + chunk).slice(-65_536)))
  }
  const state = { ended: false }
  child.once('error', (error) => {
    state.ended = true
    text += error.message
  })
  child.once('exit', () => (state.ended = true))
  async function stop(): Promise<void> {
    process.removeListener('exit', orphaned)
    if (state.ended) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    const patience = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await exited
    clearTimeout(patience)
  }
  for (let round = 0; round < 600 && !state.ended; round += 1) {
    if (await ready().catch(() => false)) return { log: () => text, stop }
    await sleep(100)
  }
  const how = state.ended ? 'has ended' : 'is not ready'
  await stop()
  throw new Error(`${binary} ${how}. The end of its output:\n${text.slice(-3000)}`)
}
