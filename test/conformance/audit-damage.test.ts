// Every bit of a small log turned, and every length to which its files can be cut: the test of some of them, with all of them.
import { it } from 'node:test'

const whole = process.env['JUDGES'] === 'all'

if (whole) await import('../attacks/audit-damage.test.ts')
it('every bit and every length is tried', { skip: whole ? false : 'npm run conformance tries them' }, () => {})
