import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** The Chromium of this machine; null where there is none. */
export function findChromium(path = process.env['PATH'] ?? ''): string | null {
  const files = path.split(delimiter).flatMap((dir) => names.map((name) => join(dir, name)))
  return files.find(isProgram) ?? null
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
