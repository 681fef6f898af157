import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { followLinks, onceEach, readLinkOfDisk } from './links.ts'
import type { ReadLink } from './links.ts'
import { digestOf, loadPolicy } from './policy.ts'
import type { Policy } from './policy.ts'
import { profiles } from './profile.ts'
import type { PolicyFile } from './rows.ts'

/** Where a policy is: the Casbin model and the rule files, in order. */
export interface PolicyOptions {
  readonly model: string
  readonly rules: readonly string[]
  /** Whose labels say whose a sample is. */
  readonly profile: keyof typeof profiles
}

/** The files of a policy as they were together at one moment. */
export interface PolicyText {
  readonly model: PolicyFile
  readonly rules: readonly PolicyFile[]
  /** The digest that the policy will have, if it is one. */
  readonly digest: string
}

/** What is asked of the disk. */
export interface Disk {
  readonly readLink: ReadLink
  /** What changes whenever the file does. */
  readonly mark: (path: string) => Promise<string>
  readonly read: (path: string) => Promise<string>
}

/** Reads and loads a policy from files. */
export async function readPolicy(
  options: PolicyOptions,
  clock: () => number,
): Promise<Result<Policy, readonly string[]>> {
  const text = await readPolicyFiles(options)
  return text.ok ? loadPolicyText(text.value, options, clock) : text
}

/** Makes a policy of what was read. */
export const loadPolicyText = (
  { model, rules }: PolicyText,
  { profile }: PolicyOptions,
  clock: () => number,
): Promise<Result<Policy, readonly string[]>> => loadPolicy(model, rules, { profile: profiles[profile], clock })

/** How often the files are read anew because they changed meanwhile. */
const mostTries = 10

/**
 * Reads all files of one moment. A mounted ConfigMap switches one link (`..data`): each link is looked up once, and so
 * every file is from the same side of the switch. Where files are replaced one by one, what was found before the first
 * one was read must be what is found after the last one; else all are read again.
 */
export async function readPolicyFiles(
  { model, rules }: Pick<PolicyOptions, 'model' | 'rules'>,
  disk: Disk = nodeDisk,
): Promise<Result<PolicyText, readonly string[]>> {
  const paths = [model, ...rules]
  let problem = 'its files change all the time'
  for (let round = 0; round < mostTries; round += 1) {
    try {
      const before = await find(paths, disk)
      const texts = await inTurn(before, ({ path }) => disk.read(path))
      const after = await find(paths, disk)
      if (isSame(before, after)) return ok(named(paths, texts))
    } catch (error) {
      // A file may be gone for the moment in which it is replaced.
      if (!(error instanceof Error)) throw error
      problem = error.message
    }
  }
  return fail([`the policy cannot be read: ${problem}: check policy.model and policy.rules`])
}

/** Where a file really is, behind all links, and its mark. */
interface Found {
  readonly path: string
  readonly mark: string
}

function find(paths: readonly string[], { readLink, mark }: Disk): Promise<readonly Found[]> {
  const look = onceEach(readLink)
  return inTurn(paths, async (written) => {
    const { path } = await followLinks(written, look)
    return { path, mark: await mark(path) }
  })
}

const isSame = (before: readonly Found[], after: readonly Found[]): boolean =>
  before.every(({ path, mark }, index) => path === after[index]?.path && mark === after[index].mark)

/** One at a time: a disk that hangs must not take more than one of the few threads for files. */
async function inTurn<From, To>(values: readonly From[], ask: (value: From) => Promise<To>): Promise<readonly To[]> {
  const answers: To[] = []
  for (const value of values) answers.push(await ask(value))
  return answers
}

/** Records and messages name a file without its directory where that is enough. */
function named(paths: readonly string[], texts: readonly string[]): PolicyText {
  const shorts = paths.map((path) => basename(path))
  const files = paths.map((path, index): PolicyFile => {
    const short = basename(path)
    const unique = index === 0 || shorts.filter((name, at) => at > 0 && name === short).length < 2
    return { name: unique ? short : path, text: texts[index] ?? '' }
  })
  const [model = { name: '', text: '' }, ...rules] = files
  return { model, rules, digest: digestOf([model, ...rules]) }
}

/** More than the longest policy that is accepted: not a policy, and too large to be held. */
const mostBytes = 64 * 1024 * 1024

const nodeDisk: Disk = {
  readLink: readLinkOfDisk,
  async mark(path) {
    const found = await stat(path, { bigint: true })
    // A pipe may never end.
    if (!found.isFile()) throw new Error(`${path} is not a file`)
    if (found.size > mostBytes) throw new Error(`${path} is larger than ${mostBytes} bytes`)
    const { dev, ino, size, mtimeNs, ctimeNs } = found
    return [dev, ino, size, mtimeNs, ctimeNs].join()
  },
  read: (path) => readFile(path, 'utf8'),
}
