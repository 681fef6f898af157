import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'
import { run } from '../../demo/parts/command.ts'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** The Chromium of this machine; as root on Debian it is installed where there is none. Null where that did not help. */
export async function findChromium(): Promise<string | null> {
  const found = onPath()
  if (found !== null || process.getuid?.() !== 0) return found
  // Several hundred files and libraries, unlike Prometheus: only the system itself can put them in place.
  for (const words of [['update'], ['install', '--yes', '--no-install-recommends', 'chromium']]) {
    const done = await run('apt-get', ['-q', ...words], { seconds: 240 })
    if (done.code !== 0 && words[0] === 'install') return null
  }
  return onPath()
}

function onPath(): string | null {
  const directories = (process.env['PATH'] ?? '').split(delimiter)
  return directories.flatMap((dir) => names.map((name) => join(dir, name))).find(isProgram) ?? null
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** What a test says that is skipped for want of one. */
export const noChromium = 'no Chromium on the PATH: apt-get install chromium (or any Chrome) to run this'

/** Starts it without a window. Root, as in a container, has no sandbox to run it in; only our own pages are opened. */
export const startChromium = (executablePath: string): Promise<Browser> =>
  chromium.launch({ executablePath, chromiumSandbox: process.getuid?.() !== 0, args: ['--disable-dev-shm-usage'] })
