import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Environment } from './secrets.ts'

/** A file of the person who runs a command: in `$XDG_CONFIG_HOME/bailiwick`, or `~/.config/bailiwick`. */
export const userFile = (name: string, environment: Environment = process.env): string =>
  join(environment['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'bailiwick', name)
