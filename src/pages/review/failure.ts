import type { ReviewFailure } from '../../review/review.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { written } from './text.ts'

/** Status of an answer that could not be had. */
export const statusOf = ({ code }: ReviewFailure): number =>
  ({ unavailable: 503, refused: 400, busy: 503, stopped: 504 })[code]

/** Why there is no answer, and what helps. */
export const failureNote = ({ reason, remedy }: ReviewFailure): Html =>
  html`<p role="alert"><b>${written(capital(reason))}.</b> ${written(capital(remedy))}.</p>`

/** What is wrong with what was asked for. */
export const problemsNote = (problems: readonly string[]): Html =>
  html`<div role="alert">
    <p><b>That cannot be searched for:</b></p>
    <ul>
      ${problems.map((problem) => html`<li>${written(problem)}</li>`)}
    </ul>
  </div>`

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1).replace(/\.$/, '')
