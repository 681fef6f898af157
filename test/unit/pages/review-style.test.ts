// Contrast, computed from the stylesheet's own colours: WCAG 2.2, 1.4.3 (text, 4.5:1) and 1.4.11 (edges and drawings, 3:1).
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { reviewStyle } from '../../../src/pages/review/style.ts'
import { style } from '../../../src/pages/style.ts'

const colours = new Map(
  [...`${style}${reviewStyle}`.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map(
    ([, name = '', light = '', dark = '']) => [name, { light, dark }] as const,
  ),
)

const channel = (hex: string): number => {
  const value = Number.parseInt(hex, 16) / 255
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
}
const luminance = (colour: string): number =>
  0.2126 * channel(colour.slice(1, 3)) + 0.7152 * channel(colour.slice(3, 5)) + 0.0722 * channel(colour.slice(5, 7))
const contrast = (one: string, other: string): number => {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b)
  return (high + 0.05) / (low + 0.05)
}

const text = [
  ['text', 'ground'],
  ['text', 'panel'],
  ['quiet', 'ground'],
  ['quiet', 'panel'],
  ['accent', 'ground'],
  ['accent', 'panel'],
  ['on-accent', 'accent'],
  ['text', 'deny-ground'],
  ['text', 'unknown-ground'],
  ['accent', 'deny-ground'],
  ['allow-text', 'allow-ground'],
  ['deny-text', 'deny-ground'],
  ['unknown', 'unknown-ground'],
  ['gone', 'gone-ground'],
  ['added', 'added-ground'],
  ['gone', 'ground'],
  ['gone', 'panel'],
] as const

const drawn = [
  ['edge', 'ground'],
  ['edge', 'panel'],
  ['allow', 'ground'],
  ['deny', 'ground'],
] as const

describe('the colours', () => {
  it('are found at all', () => assert.ok(colours.size >= 18, String(colours.size)))
  for (const [pairs, least] of [
    [text, 4.5],
    [drawn, 3],
  ] as const) {
    for (const [front, back] of pairs) {
      for (const scheme of ['light', 'dark'] as const) {
        it(`${front} on ${back} can be read in ${scheme}`, () => {
          const [one, other] = [colours.get(front)?.[scheme], colours.get(back)?.[scheme]]
          assert.ok(one !== undefined && other !== undefined)
          const found = contrast(one, other)
          assert.ok(found >= least, `${found.toFixed(2)} is less than ${least}`)
        })
      }
    }
  }
  it('are the only ones: what a rule needs is named', () => {
    const rules = `${style}${reviewStyle}`.replaceAll(/--[\w-]+: light-dark\([^)]*\)/g, '')
    assert.doesNotMatch(rules, /#[0-9a-f]{3,8}\b(?!\))|rgb|hsl/i)
    for (const [, name = ''] of rules.matchAll(/var\(--([\w-]+)\)/g)) assert.ok(colours.has(name), name)
  })
})
