import type { ReviewFailure } from './review.ts'

/** Thrown within the child where a question gets no answer; what it says goes to whoever asked. */
export class ReviewError extends Error {
  readonly failure: ReviewFailure

  constructor(failure: ReviewFailure) {
    super(failure.reason)
    this.failure = failure
  }
}

export const refused = (reason: string, remedy: string): ReviewError =>
  new ReviewError({ code: 'refused', reason, remedy })

export const unavailable = (reason: string, remedy: string): ReviewError =>
  new ReviewError({ code: 'unavailable', reason, remedy })
