// The renderer renders as Helm does where it renders, and throws where it cannot.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TemplateError, renderChart } from '../../support/helm-template.ts'

const root = {
  Values: {
    yes: true,
    no: false,
    none: [],
    name: 'a',
    port: 9080,
    list: [{ at: 'x' }, { at: 'y' }],
    map: { b: 1, a: 'yes' },
  },
}
const renderOne = (text: string): string | undefined => renderChart({ files: { 'a.yaml': text }, root }).get('a.yaml')

describe('the renderer', () => {
  const rendered: readonly (readonly [template: string, text: string])[] = [
    ['a {{ .Values.name }} b', 'a a b'],
    ['a {{- .Values.name -}} b', 'aab'],
    ['a\n  {{- /* {{ .Nothing }} */ -}}\n b', 'ab'],
    ['{{ .Values.port }}{{ .Values.yes }}', '9080true'],
    ['{{ "a\\"b}}" | quote }}', '"a\\"b}}"'],
    ['{{ if .Values.no }}1{{ else }}2{{ end }}{{ if .Values.none }}3{{ end }}', '2'],
    ['{{ if not .Values.no }}{{ if eq .Values.name "a" }}1{{ end }}{{ end }}', '1'],
    ['{{ with .Values.map }}{{ .b }}{{ $.Values.name }}{{ end }}{{ with .Values.none }}no{{ end }}', '1a'],
    ['{{ range .Values.list }}{{ .at }}{{ end }}', 'xy'],
    ['{{ or .Values.no .Values.name }}{{ or .Values.no .Values.none | toYaml }}', 'a[]'],
    ['{{ .Values.no | default "x" }}{{ .Values.name | default "x" }}', 'xa'],
    ['{{ "abc-def" | trunc 4 | trimSuffix "-" }}', 'abc'],
    ['{{ printf "%s:%s" .Values.name (.Values.no | default "x") }}', 'a:x'],
    ['{{ regexFind "[0-9]+$" "0.0.0.0:9080" }}', '9080'],
    ['m:\n  {{- toYaml .Values.map | nindent 2 }}', 'm:\n  a: "yes"\n  b: 1'],
    ['{{ sha256sum "" }}', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['{{ define "x" }}<{{ .at }}>{{ end }}{{ range .Values.list }}{{ include "x" . }}{{ end }}', '<x><y>'],
  ]
  for (const [template, text] of rendered) it(`renders ${template}`, () => assert.equal(renderOne(template), text))

  const unknown = [
    '{{ .Values.absent }}',
    '{{ .Values.name.first }}',
    '{{ upper .Values.name }}',
    '{{ if .Values.no }}{{ upper .Values.name }}{{ end }}',
    '{{ $name := .Values.name }}',
    '{{ if .Values.no }}{{ else if .Values.yes }}{{ end }}',
    '{{ template "x" . }}',
    '{{ include "absent" . }}',
    '{{ printf "%d" .Values.name }}',
    '{{ printf "%s" }}',
    '{{ range .Values.map }}{{ end }}',
    '{{ .Values.list }}',
    '{{ quote .Values.list }}',
    '{{ nindent "2" .Values.name }}',
    '{{ eq .Values.name "a" "b" }}',
    '{{ .Values.name .Values.name }}',
    "{{ 'a' }}",
    '{{ (.Values.name }}',
    '{{ if .Values.yes }}',
    '{{ end }}',
    '{{ .Values.name',
    '{{ 1000000 }}',
  ]
  for (const template of unknown) {
    it(`throws at ${template}`, () => assert.throws(() => renderOne(template), TemplateError))
  }
  it('renders no file of named templates', () => {
    const files = { '_a.tpl': '{{ define "x" }}1{{ end }}', 'b.yaml': '{{ include "x" . }}' }
    assert.deepEqual([...renderChart({ files, root })], [['b.yaml', '1']])
  })
})
