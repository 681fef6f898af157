// A volume that is full: nothing new is shown, the refusals are on record, and it goes on when there is room. And best effort, as asked.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { verifyLog } from '../../src/audit/verify.ts'
import { send } from '../support/prometheus-answers.ts'
import { startWorld } from '../support/world.ts'
import type { World } from '../support/world.ts'

const up = { path: '/api/v1/query', params: [['query', 'up']] } as const

async function statusOf(world: World, authorization: string): Promise<number> {
  const response = await send(world.app.url, up, { authorization })
  await response.arrayBuffer()
  return response.status
}

async function until(status: number, world: World, authorization: string): Promise<void> {
  for (let round = 0; round < 200; round += 1) {
    if ((await statusOf(world, authorization)) === status) return
    await sleep(50)
  }
  assert.fail(`the gateway never answered ${status}`)
}

describe('a full volume', () => {
  let skip: string | false = false
  let scratch: string
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-tmpfs-'))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', scratch], { stdio: 'ignore' })
    } catch {
      skip = 'a small volume can only be mounted by root'
    }
  })

  it('stops the answers, not the record of refusals, and is left behind when there is room', async (t) => {
    if (skip !== false) return t.skip(skip)
    t.after(async () => {
      execFileSync('umount', [scratch])
      await rm(scratch, { recursive: true, force: true })
    })
    const auditDir = join(scratch, 'audit')
    const world = await startWorld({ auditDir, audit: { disk: { warn: '50%', refuse: '80%', reserve: '1MiB' } } })
    try {
      const authorization = `Bearer ${await world.idp.token('alice')}`
      assert.equal(await statusOf(world, authorization), 200)
      await writeFile(join(scratch, 'ballast'), Buffer.alloc(14 * 1024 * 1024)).catch(() => {})
      await until(503, world, authorization)
      const refused = await send(world.app.url, up, { authorization })
      assert.equal(refused.status, 503)
      assert.ok(!(await refused.text()).includes('emojivoto'))
      const id = refused.headers.get('bailiwick-request')
      const record = (await world.records()).find(({ kind, request }) => kind === 'decision' && request === id)
      assert.equal(record?.['decision'], 'deny')
      assert.equal(record?.['reason'], 'audit_unavailable')
      const ready = await fetch(`${world.app.adminUrl}/-/ready`)
      assert.equal(ready.status, 503)
      assert.match(await ready.text(), /"disk":\{"state":"full"/)

      await rm(join(scratch, 'ballast'))
      await until(200, world, authorization)
      const kinds = (await world.records()).filter(({ kind }) => kind === 'disk.watermark').map((one) => one['state'])
      assert.equal(kinds[0], 'full')
      assert.ok(kinds.includes('fine'))
    } finally {
      await world.stop()
    }
    const report = await verifyLog({ dir: auditDir, keys: null, copy: null, partial: false })
    assert.deepEqual(report.ok && report.value.damage, null)
  })
})

describe('best effort', () => {
  it('shows what is not on record, and says so in every answer, on /-/ready, in the metrics and in the log', async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-audit-'))
    await writeFile(join(scratch, 'file'), '')
    const world = await startWorld({ auditDir: join(scratch, 'file', 'audit'), audit: { mode: 'best-effort' } })
    try {
      const authorization = `Bearer ${await world.idp.token('alice')}`
      for (const [request, credentials, status] of [
        [up, authorization, 200],
        [up, 'Bearer garbage', 401],
      ] as const) {
        const response = await send(world.app.url, request, { authorization: credentials })
        assert.equal(response.status, status)
        assert.equal(response.headers.get('bailiwick-audit'), 'best-effort')
      }
      const ready = await fetch(`${world.app.adminUrl}/-/ready`)
      assert.equal(ready.status, 200)
      assert.match(await ready.text(), /"bestEffort":\{"unrecorded":[1-9]/)
      const metrics = await (await fetch(`${world.app.adminUrl}/metrics`)).text()
      assert.match(metrics, /^bailiwick_audit_best_effort 1$/m)
      assert.match(metrics, /^bailiwick_audit_unrecorded [1-9]/m)
      assert.match(world.logged(), /BEST EFFORT/)
    } finally {
      await world.stop()
      await rm(scratch, { recursive: true, force: true })
    }
  })
})
