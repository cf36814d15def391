{{/* The name of the Deployment and what belongs to it. It holds no release's name: a cluster has one operator. */}}
{{- define "sbo.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sbo.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "sbo.name" .) -}}
{{- else -}}
{{- required "serviceAccount.name: name the ServiceAccount that is used, or set serviceAccount.create" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What the pods are found by; it cannot change. */}}
{{- define "sbo.selector" -}}
app.kubernetes.io/name: {{ include "sbo.name" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* The labels of every object, beside the component. Not `app.kubernetes.io/instance`: Argo CD tracked by it. */}}
{{- define "sbo.labels" -}}
app.kubernetes.io/name: {{ include "sbo.name" . }}
app.kubernetes.io/part-of: security-baseline-operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sbo.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The operator's configuration, as JSON: the shipped one, with the values over it. */}}
{{- define "sbo.config" -}}
{{- $shipped := .Files.Get "files/manager/config.yaml" | fromYaml -}}
{{- mustMergeOverwrite $shipped (deepCopy .Values.config) | toJson -}}
{{- end -}}

{{/* The port of `listen` in the configuration. */}}
{{- define "sbo.port" -}}
{{- (include "sbo.config" . | fromJson).listen | regexFind "[0-9]+$" -}}
{{- end -}}

{{/* Whether a kind of the Prometheus operator is rendered: "true" or nothing. Takes root, kind, name, and its values. */}}
{{- define "sbo.monitored" -}}
{{- if .values.enabled -}}
{{- $known := .root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) -}}
{{- if or $known (eq .values.renderMode "alwaysRender") -}}
true
{{- else if eq .values.renderMode "failIfMissing" -}}
{{- fail (printf "%s.enabled: this cluster knows no %s; install the Prometheus operator first, or set %s.renderMode to skipIfMissing" .name .kind .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
