// Every bit of a small log turned, and every length to which its files can be cut: the test of some of them, with all of them.
if (process.env['JUDGES'] === 'all') await import('../attacks/audit-damage.test.ts')

export {}
