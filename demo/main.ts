// The main job with real parts on loopback: `npm run demo`, or `npm run demo -- --check` to have it check itself.
import { readFile, readdir, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { readCheckKeys } from '../src/audit/keys.ts'
import { verifyLog } from '../src/audit/verify.ts'
import { people } from './parts/people.ts'
import { startStage } from './stage.ts'
import type { Stage } from './stage.ts'
import { curlLine, doStep, stepsFor } from './steps.ts'

const usage = `Usage: npm run demo [-- --check]

Starts Prometheus with Linkerd-shaped metrics, an OIDC provider and the gateway on loopback, prints who may see what
and lines to paste, and runs until Ctrl-C.

  --check   do the printed steps, print what was expected and what came, and end with 0 (all well) or 1
`
/** Tokens live an hour; the files that the printed lines read are renewed well before. */
const renewEvery = 30 * 60_000

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  let values
  try {
    ;({ values } = parseArgs({ args, options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } }))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return 2
  }
  if (values.help === true) {
    say(usage)
    return 0
  }
  const interrupted = waitForSignal()
  const name = values.check === true ? `demo-check-${process.pid}` : 'demo'
  const began = Date.now()
  const tell = (line: string): void => say(`[${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s] ${line}`)
  let stage
  try {
    stage = await startStage(name, tell)
  } catch (error) {
    process.stderr.write(`The demo cannot start: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
  try {
    return values.check === true ? await check(stage) : await show(stage, interrupted)
  } finally {
    await stage.stop()
    if (values.check === true) await rm(stage.dir, { recursive: true, force: true })
    say('Everything that was started is stopped.')
  }
}

/** Prints the story and waits. */
async function show(stage: Stage, interrupted: Promise<void>): Promise<number> {
  const renew = async (): Promise<void> => {
    for (const { id } of people) await stage.token(id)
  }
  await renew()
  const timer = setInterval(() => void renew(), renewEvery)
  say(`
Who may see what (policies/policy.csv):
  alice   team emojivoto     namespace emojivoto
  bob     team booksapp      namespace booksapp
  carol   platform           every series, also the control plane's own
  dana    auditors           no metrics; she reads the audit record

In a browser:              ${stage.url}/bailiwick/   (who am I, what may I see, and why)
The record, in a browser:  ${stage.url}/bailiwick/review/   (sign in as dana)
Grafana's datasource URL:  ${stage.url}/clusters/demo   (the first cluster also answers at ${stage.url})
Prometheus behind it:      ${stage.prometheusUrl}   (in real life, nobody but the gateway reaches it)
OIDC provider:             ${stage.issuer}
Health and metrics:        ${stage.adminUrl}/-/ready   ${stage.adminUrl}/metrics
Audit record:              ${await auditFile(stage)}
Operational log:           ${stage.dir}/gateway.log

To paste, in this directory (tokens are in ${stage.dir}/tokens and renewed while this runs):`)
  for (const step of stepsFor(stage)) say(`\n# ${step.title}\n#   expect: ${step.expected}\n${curlLine(step, stage)}`)
  say(
    `\n# what is on record about all that\ntail -n 2 ${await auditFile(stage)}\n\n# whether anything of it was changed\nnpm run bailiwick -- audit verify ${stage.dir}/audit --key ${stage.dir}/audit-key.pub\n\nCtrl-C stops everything.`,
  )
  await interrupted
  clearInterval(timer)
  say('\nStopping …')
  return 0
}

/** Does every step, then looks into the audit record. */
async function check(stage: Stage): Promise<number> {
  const rows: string[][] = [['', 'who', 'what', 'expected', 'came']]
  let failures = 0
  const add = (good: boolean, cells: readonly string[]): void => {
    if (!good) failures += 1
    rows.push([good ? 'ok' : 'FAILED', ...cells])
  }
  await untilScraped(stage)
  const steps = stepsFor(stage)
  for (const step of steps) {
    const came = await doStep(step, stage)
    const shown = came.status === 200 ? step.show?.(came) : `${came.status} ${step.show?.(came) ?? came.text}`
    add(step.judge(came), [step.person ?? 'nobody', step.title, step.expected, shown ?? came.text])
  }
  const records = (await readFile(await auditFile(stage), 'utf8'))
    .split('\n')
    .filter((line) => line.includes('"kind":"decision"'))
  const scoped = records.some((line) => line.includes(String.raw`request_total{namespace=~\"emojivoto\"}`))
  add(records.length >= steps.length && scoped, [
    '',
    'the audit record',
    'every step, asked and sent',
    `${records.length} decisions${scoped ? ', with what was sent' : ''}`,
  ])
  const verified = await verifyRecord(stage)
  add(verified.good, ['', 'the audit record, checked with its key', 'nothing was changed', verified.said])
  printTable(rows)
  say(
    failures === 0
      ? `\nAll ${rows.length - 1} are as expected.`
      : `\n${failures} of ${rows.length - 1} are not as expected.`,
  )
  return failures === 0 ? 0 : 1
}

/** What `bailiwick audit verify` says of the record. */
async function verifyRecord({ dir, auditDir }: Stage): Promise<{ readonly good: boolean; readonly said: string }> {
  const keys = readCheckKeys(await readFile(join(dir, 'audit-key.pub'), 'utf8'))
  const report = await verifyLog({ dir: auditDir, keys, copy: null, partial: false })
  if (!report.ok) return { good: false, said: report.error }
  const { damage, records, checkpoints } = report.value
  const said = damage === null ? `whole: ${records} records, ${checkpoints} signed checkpoints` : damage.sentence
  return { good: damage === null && checkpoints > 0, said }
}

/** Live series begin with the second scrape; until then a federation has nothing to show. */
async function untilScraped(stage: Stage): Promise<void> {
  const federations = stepsFor(stage).filter(({ path }) => path === '/federate')
  for (let round = 0; round < 120; round += 1) {
    const came = await Promise.all(federations.map((step) => doStep(step, stage)))
    if (federations.every((step, at) => step.judge(came[at] ?? nothing))) return
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

const nothing = { status: 0, text: '', challenge: null } as const

/** The segment that the gateway writes to now, relative to this directory. */
async function auditFile({ auditDir }: Stage): Promise<string> {
  const segments = (await readdir(auditDir)).filter((file) => file.endsWith('.ndjson')).toSorted()
  return relative(process.cwd(), join(auditDir, segments.at(-1) ?? ''))
}

function printTable(rows: readonly (readonly string[])[]): void {
  const widths = [6, 6, 62, 38]
  say('')
  for (const row of rows) {
    const cells = row.map((cell, at) =>
      at < 4 ? cell.slice(0, widths[at]).padEnd(widths[at] ?? 0) : cell.replaceAll('\n', ' ').slice(0, 110),
    )
    say(cells.join('  '))
  }
}

function waitForSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
  })
}
