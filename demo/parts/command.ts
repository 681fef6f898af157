import { execFile } from 'node:child_process'

/** How a finished command ended; `code` is null when it could not be started or was ended by its deadline. */
export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a command to its end, without a shell.
 * @returns its exit code and output; never rejects, so that a missing program is an answer like any other
 */
export function run(
  file: string,
  args: readonly string[],
  options: { cwd?: string; seconds: number },
): Promise<Finished> {
  return new Promise((resolve) => {
    const limits = { timeout: options.seconds * 1000, maxBuffer: 64 * 1024 * 1024 }
    const cwd = options.cwd === undefined ? {} : { cwd: options.cwd }
    execFile(file, args, { ...limits, ...cwd }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null
      resolve({ code, stdout, stderr: stderr === '' && error !== null ? error.message : stderr })
    })
  })
}
