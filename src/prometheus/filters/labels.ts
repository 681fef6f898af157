import type { Scope } from '../../policy/scope.ts'
import { labelsWithin } from '../../promql/within.ts'

/** Labels of an alert, a rule or a target. */
export type Labels = Readonly<Record<string, string>>

/** May somebody see what has these labels? Without a label of the scope: only who may see everything. */
export const labelsInScope = (labels: Labels, scope: Scope): boolean => labelsWithin(labels, scope)

/** Do the labels say anything about whose it is? */
export const sayWhose = (labels: Labels, scope: Scope): boolean =>
  scope.kind === 'labels' && scope.alternatives.some(({ label }) => Object.hasOwn(labels, label))
