{{- /* One release in a namespace is the normal case: the release's name is enough. */ -}}
{{- define "bailiwick.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "bailiwick.selector" -}}
app.kubernetes.io/name: bailiwick
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bailiwick.labels" -}}
{{ include "bailiwick.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* The ports are said once, in the configuration. */ -}}
{{- define "bailiwick.clientPort" -}}
{{ regexFind "[0-9]+$" .Values.config.listen }}
{{- end }}

{{- define "bailiwick.adminPort" -}}
{{ regexFind "[0-9]+$" .Values.config.admin }}
{{- end }}
