import type { ValueType } from './tree.ts'

/** What a function takes and gives. The last type repeats where `most` is larger than the number of types. */
export interface Signature {
  readonly args: readonly ValueType[]
  readonly least: number
  readonly most: number
  readonly returns: ValueType
}

const table = new Map<string, Signature>()

function add(names: string, returns: ValueType, args: readonly ValueType[], least = args.length, most = args.length) {
  for (const name of names.split(' ')) table.set(name, { args, least, most, returns })
}

// Facts: promql/parser/functions.go of every release from 2.42 to 3.14. `holt_winters` is the 2.x name of
// `double_exponential_smoothing`. What is not here is refused, so a function of a later release cannot slip past us.
add('abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn', 'vector', [
  'vector',
])
add('sin sinh sort sort_desc sqrt tan tanh timestamp start_timestamp', 'vector', ['vector'])
add('histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar', 'vector', ['vector'])
add('absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta', 'vector', ['matrix'])
add('increase irate last_over_time mad_over_time max_over_time min_over_time', 'vector', ['matrix'])
add('present_over_time rate resets stddev_over_time stdvar_over_time sum_over_time', 'vector', ['matrix'])
add('ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time', 'vector', ['matrix'])
add('predict_linear', 'vector', ['matrix', 'scalar'])
add('quantile_over_time', 'vector', ['scalar', 'matrix'])
add('double_exponential_smoothing holt_winters', 'vector', ['matrix', 'scalar', 'scalar'])
add('day_of_month day_of_week day_of_year days_in_month hour minute month year', 'vector', ['vector'], 0)
add('clamp', 'vector', ['vector', 'scalar', 'scalar'])
add('clamp_max clamp_min', 'vector', ['vector', 'scalar'])
add('round', 'vector', ['vector', 'scalar'], 1)
add('histogram_quantile', 'vector', ['scalar', 'vector'])
add('histogram_fraction', 'vector', ['scalar', 'scalar', 'vector'])
add('histogram_quantiles', 'vector', ['vector', 'string', 'scalar'], 3, 12)
add('label_replace', 'vector', ['vector', 'string', 'string', 'string', 'string'])
add('label_join', 'vector', ['vector', 'string', 'string', 'string'], 3, Infinity)
add('sort_by_label sort_by_label_desc', 'vector', ['vector', 'string'], 1, Infinity)
add('vector', 'vector', ['scalar'])
add('scalar', 'scalar', ['vector'])
add('pi time start end range step', 'scalar', [])
add('max_of min_of', 'scalar', ['scalar', 'scalar'])

/** The functions that may be called. */
export const functions: ReadonlyMap<string, Signature> = table

/** Functions that read series which no selector in the text names; no matcher of ours could bind them. */
export const refusedFunctions: ReadonlyMap<string, string> = new Map([
  [
    'info',
    'info() is not available here: it reads series that no selector names, so it cannot be held to what you may see; join the info metric yourself, for example x * on (job, instance) group_left (version) target_info',
  ],
])

/** Functions whose result over a selector depends on the selector itself, not only on the values it yields. */
export const selectorFunctions: ReadonlySet<string> = new Set(['absent', 'timestamp', 'start_timestamp'])

/** The aggregations, with the type of the parameter before the vector where there is one. */
export const aggregations: ReadonlyMap<string, ValueType | null> = new Map<string, ValueType | null>([
  ['sum', null],
  ['avg', null],
  ['count', null],
  ['min', null],
  ['max', null],
  ['group', null],
  ['stddev', null],
  ['stdvar', null],
  ['topk', 'scalar'],
  ['bottomk', 'scalar'],
  ['quantile', 'scalar'],
  ['limitk', 'scalar'],
  ['limit_ratio', 'scalar'],
  ['count_values', 'string'],
])
