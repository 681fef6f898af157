import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { paths } from '../paths.ts'
import type { Fields } from './fields.ts'
import type { ProofState } from './proof.ts'
import { clockTime, written } from './text.ts'

/** How far a record is proven, and how to check that without this gateway. */
export function proofPanel(id: string, record: Fields, state: ProofState): Html {
  const query = new URLSearchParams({ request: id, kind: record.text('kind') })
  const file = state.is === 'proven' || state.is === 'unsigned' || state.is === 'foreign'
  return html`<section class="panel" aria-labelledby="proof-title">
    <h2 id="proof-title">Proof</h2>
    ${sentenceOf(state)}
    ${
      file
        ? html`<p><a class="button" href="${paths.reviewProof}?${query.toString()}">Download the proof</a></p>
            <p class="quiet">
              <code>bailiwick audit check-proof FILE --key audit-key.pub</code> checks it anywhere, without the log.
            </p>`
        : null
    }
  </section>`
}

function sentenceOf(state: ProofState): Html {
  switch (state.is) {
    case 'proven':
      return html`<p><span class="mark allow">proven</span> The record leads to a root that was signed.</p>
        <dl>
          <dt>Checkpoint</dt>
          <dd>number ${state.number}</dd>
          <dt>Signed</dt>
          <dd>${clockTime(state.time)} UTC</dd>
          <dt>Key</dt>
          <dd><code>${state.key}</code></dd>
        </dl>`
    case 'unsigned':
      return html`<p>
        <span class="mark unknown">unsigned</span> Checkpoint number ${state.number} of ${clockTime(state.time)} UTC
        covers it, but no key signed that: whoever can write the log can make it anew.
      </p>`
    case 'foreign':
      return html`<p>
        <span class="mark unknown">other key</span> Checkpoint number ${state.number} of ${clockTime(state.time)} UTC
        covers it, signed with a key that is not in the gateway's configuration. Check the proof with that key; if there
        never was another one, run <code>bailiwick audit verify</code>.
      </p>`
    case 'uncovered':
      return html`<p>
        <span class="mark unknown">not yet covered</span> No checkpoint covers it yet. One is made within seconds: load
        this page again.
      </p>`
    case 'broken':
      return html`<p role="alert">
        <span class="mark deny">does not hold</span> ${written(state.because)}. Run
        <code>bailiwick audit verify</code> on the directory.
      </p>`
    case 'unknown':
      return html`<p><span class="mark unknown">unknown</span> ${written(state.because)}.</p>`
  }
}
