import { sampleTimes, storedSeries } from '../../demo/parts/linkerd-history.ts'
import type { StoredSeries } from '../../demo/parts/linkerd-history.ts'
import type { Labels } from '../../demo/parts/linkerd-mesh.ts'
import { bytesField, numberField, textField } from '../../src/prometheus/protobuf.ts'
import { packSnappy } from '../../src/prometheus/snappy.ts'

/** The last two hours, whole minutes: databases that take samples as they come want recent ones. */
export function recentWindow(): { readonly start: number; readonly end: number; readonly nightlyAt: number } {
  const end = Math.floor(Date.now() / 60_000) * 60
  return { start: end - 7200, end, nightlyAt: end - 1800 }
}

/**
 * Writes the Linkerd-shaped history of a window over Prometheus's remote write (version 0.1.0): samples of all series
 * in the order of time, as a Prometheus would send them.
 * @param only keeps the series that it says yes to
 */
export async function writeRemote(
  url: string,
  window: ReturnType<typeof recentWindow>,
  options: { readonly headers?: Readonly<Record<string, string>>; readonly only?: (labels: Labels) => boolean },
): Promise<void> {
  const series = storedSeries(window).filter(({ labels }) => options.only?.(labels) ?? true)
  const slices = Map.groupBy(sampleTimes(window.start, window.end), (at) => Math.floor(at / 600))
  for (const times of slices.values()) {
    const message = Buffer.concat(series.flatMap((one) => timeSeries(one, times)))
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-protobuf',
        'content-encoding': 'snappy',
        'x-prometheus-remote-write-version': '0.1.0',
        ...options.headers,
      },
      body: packSnappy(message),
    })
    if (!response.ok) throw new Error(`remote write: ${response.status} ${await response.text()}`)
    await response.arrayBuffer()
  }
}

/** Fields of prometheus.WriteRequest: 1 a series, with 1 its labels in order and 2 its samples; none where it has none. */
function timeSeries({ labels, value }: StoredSeries, times: readonly number[]): readonly Uint8Array[] {
  const samples = times.flatMap((at) => {
    const sample = value(at)
    return sample === undefined
      ? []
      : bytesField(2, Buffer.concat([double(sample), ...numberField(2, BigInt(at * 1000))]))
  })
  if (samples.length === 0) return []
  const pairs = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const names = pairs.flatMap(([name, text]) =>
    bytesField(1, Buffer.concat([...textField(1, name), ...textField(2, text)])),
  )
  return bytesField(1, Buffer.concat([...names, ...samples]))
}

/** Field 1 as a double, which the product's own writer has no need of. */
function double(value: number): Uint8Array {
  const bytes = Buffer.alloc(9)
  bytes.writeUInt8((1 << 3) | 1)
  bytes.writeDoubleLE(value, 1)
  return bytes
}
