const namePattern = /^audit-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-(.+)\.ndjson(?:\.zst)?$/

/** The name of a segment. Names sort in the order of the times in them. */
export function segmentName(time: number, boot: string): string {
  return `audit-${new Date(time).toISOString().replaceAll(/[-:.]/g, '')}-${boot}.ndjson`
}

/** The time in a segment's name, compressed or not; `null` when the file is no segment. */
export function segmentTime(name: string): number | null {
  const [, year, month, day, hour, minute, second, ms] = namePattern.exec(name) ?? []
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`)
  return Number.isNaN(time) ? null : time
}

/** The id of the process that made a segment, as its name says; empty when the file is no segment. */
export const segmentBoot = (name: string): string => namePattern.exec(name)?.[8] ?? ''
