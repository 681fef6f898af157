import { fileURLToPath } from 'node:url'

/** Rules for tests that ask more, and more at once, than one person may by default. */
export const generous = fileURLToPath(new URL('generous.csv', import.meta.url))
