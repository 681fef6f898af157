import type { Parameter } from '../../audit/record.ts'

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')

export const isPairs = (value: unknown): value is readonly Parameter[] =>
  Array.isArray(value) && value.every((pair) => isTexts(pair) && pair.length === 2)
