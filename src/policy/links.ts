import { readlink } from 'node:fs/promises'
import { join, parse, resolve, sep } from 'node:path'

/** Says where a link leads; null for what is none. */
export type ReadLink = (path: string) => Promise<string | null>

/** Where a path leads in the end, and every link on the way. */
interface Way {
  readonly links: readonly string[]
  readonly path: string
}

/** Most links on the way to a file, as on Linux. */
const mostLinks = 40

/** Goes along a path from link to link. What is missing is no link. */
export async function followLinks(path: string, readLink: ReadLink): Promise<Way> {
  const links: string[] = []
  let rest = resolve(path)
  for (;;) {
    const found = links.length < mostLinks ? await firstLink(rest, readLink) : null
    if (found === null) return { links, path: rest }
    links.push(found.link)
    rest = found.path
  }
}

async function firstLink(path: string, readLink: ReadLink): Promise<{ link: string; path: string } | null> {
  const { root } = parse(path)
  const parts = path.slice(root.length).split(sep)
  let dir = root
  for (const [index, part] of parts.entries()) {
    const link = join(dir, part)
    const target = await readLink(link)
    if (target !== null) return { link, path: resolve(dir, target, ...parts.slice(index + 1)) }
    dir = link
  }
  return null
}

export const readLinkOfDisk: ReadLink = (path) => readlink(path).catch(() => null)

/** Asks about each link once: whatever happens meanwhile, all paths through it lead to the same side. */
export function onceEach(readLink: ReadLink): ReadLink {
  const known = new Map<string, Promise<string | null>>()
  return (path) => {
    const target = known.get(path) ?? readLink(path)
    known.set(path, target)
    return target
  }
}
