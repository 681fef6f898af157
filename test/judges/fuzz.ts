// The long differential run: npm run fuzz -- --seconds 60 --seed 1 [--inputs N] [--with prometheus3] [--own]
import { parseArgs } from 'node:util'
import { fuzz } from './fuzz-run.ts'
import type { FuzzReport } from './fuzz-run.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '60' },
    inputs: { type: 'string', default: '1e9' },
    with: { type: 'string', default: 'prometheus' },
    sample: { type: 'string', default: '10' },
    own: { type: 'boolean', default: false },
  },
})

const seed = Number(values.seed)
const which = values.with === 'prometheus3' ? 'prometheus3' : 'prometheus'

const report = await fuzz({
  seed,
  which,
  seconds: Number(values.seconds),
  inputs: Number(values.inputs),
  refusedSample: Number(values.sample),
  ownOnly: values.own,
  progress: ({ inputs, seconds, selects, failures }) =>
    console.log(`${inputs} inputs in ${seconds.toFixed(0)} s, ${selects} selects, ${failures.length} failures`),
})
tell(report)
process.exitCode = report.failures.length > 0 ? 1 : 0

function tell({ version, inputs, seconds, outcomes, stricter, selects, failures }: FuzzReport): void {
  console.log(`\nPrometheus ${version}, seed ${seed}: ${inputs} inputs in ${seconds.toFixed(0)} s`)
  for (const [outcome, count] of [...outcomes].toSorted(([one], [other]) => (one < other ? -1 : 1)))
    console.log(`${String(count).padStart(9)}  ${outcome}`)
  console.log(`${String(selects).padStart(9)}  selects that storage was asked for, each looked at`)
  if (stricter.length > 0) console.log('\nAccepted by Prometheus, refused by us, and not on purpose; the shortest:')
  for (const text of stricter.toSorted((a, b) => a.length - b.length).slice(0, 20))
    console.log(`  ${JSON.stringify(text)}`)
  for (const { problem, index, input, shrunk } of failures) {
    console.log(
      `\nFAILED ${problem}\n  seed ${seed}, input ${index}: ${JSON.stringify(input)}\n  shrunk: ${JSON.stringify(shrunk)}`,
    )
  }
}
