/** Parameters of a question. */
export type Form = Readonly<Record<string, string>> | URLSearchParams
/** What was answered. */
export interface Answer {
  readonly status: number
  readonly text: string
  /** The body with everything whose order means nothing sorted, and without the last digits of what was added up. */
  readonly told: string
}

/** Asks, and reads the whole answer. */
export async function askAt(
  url: string,
  headers: Record<string, string>,
  form: Form,
  method: 'GET' | 'POST' = 'POST',
): Promise<Answer> {
  const asked = new URLSearchParams(form)
  const response =
    method === 'GET'
      ? await fetch(`${url}?${asked.toString()}`, { headers })
      : await fetch(url, { method: 'POST', headers, body: asked })
  const text = await response.text()
  return { status: response.status, text, told: toldBy(text) }
}

/** Both stores tell the same of a tenant, but for its name; sums of floats depend on the order of the series. */
function toldBy(text: string): string {
  const same = text.replaceAll('oneNamespace', 'everything')
  if (!same.startsWith('{')) return same
  const { status, data, warnings, infos }: Record<string, unknown> = JSON.parse(same, (_, value: unknown) =>
    typeof value === 'string' && /^-?\d+(\.\d+)?(e[+-]\d+)?$/.test(value) ? roughly(Number(value)) : value,
  )
  const result: unknown = Reflect.get(Object(data), 'result')
  const list = [data, result].find(Array.isArray) ?? [data]
  return JSON.stringify([status, sorted(list), sorted([warnings ?? []].flat()), infos])
}
const roughly = (value: number): number => Number(Number(value.toPrecision(9)).toFixed(9))
const sorted = (list: readonly unknown[]): readonly string[] => list.map((one) => JSON.stringify(one)).toSorted()

/** MetricsQL that is no PromQL. What the gateway does not refuse must be in scope all the same. */
export const dialect = [
  'WITH (x = up) x',
  'with (ns = {namespace="booksapp"}) up{ns}',
  'WITH (f(q) = q) f(up)',
  'up{namespace="emojivoto" or namespace="booksapp"}',
  '{namespace="emojivoto" or __name__="up"}',
  'rate(request_total[5m]) keep_metric_names',
  'up default 0',
  'up if request_total',
  'up ifnot request_total',
  'label_set(up, "namespace", "emojivoto")',
  'label_copy(up{namespace="booksapp"}, "pod", "namespace")',
  'union(up, request_total)',
  '(up, request_total)',
  'alias(up, "x")',
  'up[5i]',
  'rate(request_total)',
  'sum(up) limit 2',
  "up{pod='a\\'} or request_total{pod='b'}",
  'up{pod=`a\\`} or request_total{pod=`b`}',
  'up{pod="a\\x22} or request_total{pod=\\x22b"}',
  '{__graphite__="*"}',
  '{__graphite__="{up,request_total}"}',
  'up{__graphite__="up"}',
  '{__graphite__!="x",__name__=~".+"}',
  '{vm_account_id=~".*",__name__="up"}',
  '{vm_project_id!="0",__name__=~".+"}',
  '{__tenant_id__=~".+",__name__="up"}',
  '{tenant_id!="",__name__="up"}',
  '{namespace="",__name__=~".+"}',
  '{namespace=~"|booksapp",__name__=~".+"}',
  '{namespace!~"emojivoto",__name__=~".+"}',
  '{namespace=~"(?i)EMOJIVOTO",__name__="up"}',
  '{namespace=~"emoji",__name__="up"}',
  '{namespace=~"^booksapp$|emojivoto",__name__="up"}',
] as const
