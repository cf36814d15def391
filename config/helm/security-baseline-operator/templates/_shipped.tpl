{{/*
The objects of a file that `make generate` copied from config/ or crds/, made to fit this release: its namespace, its
names, its ServiceAccount, its labels. So nothing of what they say is written down twice.

Takes root and file; answers a map whose `items` are the objects, as YAML.
*/}}
{{- define "sbo.shipped" -}}
{{- $root := .root -}}
{{- $items := list -}}
{{- $account := printf "system:serviceaccount:%s:%s" $root.Release.Namespace (include "sbo.serviceAccount" $root) -}}
{{- $text := $root.Files.Get .file | replace "system:serviceaccount:security-baseline-system:security-baseline-operator" $account -}}
{{- range regexSplit "(?m)^---\\s*$" $text -1 -}}
{{- with fromYaml . -}}
{{- if hasKey . "Error" -}}{{- fail (printf "%s: %s" $.file .Error) -}}{{- end -}}
{{- $_ := include "sbo.fit" (dict "root" $root "object" .) -}}
{{- $items = append $items . -}}
{{- end -}}
{{- end -}}
{{- dict "items" $items | toYaml -}}
{{- end -}}

{{/* Changes one object in place. Takes root and object. */}}
{{- define "sbo.fit" -}}
{{- $root := .root -}}
{{- $metadata := .object.metadata -}}
{{- $_ := set $metadata "name" (include "sbo.renamed" (dict "root" $root "name" $metadata.name)) -}}
{{- if eq (get $metadata "namespace") "security-baseline-system" -}}
{{- $_ := set $metadata "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- $_ := set $metadata "labels" (merge (include "sbo.labels" $root | fromYaml) (get $metadata "labels" | default dict)) -}}
{{- with get .object "roleRef" -}}
{{- $_ := set . "name" (include "sbo.renamed" (dict "root" $root "name" .name)) -}}
{{- end -}}
{{- range get .object "subjects" | default list -}}
{{- $_ := set . "name" (include "sbo.serviceAccount" $root) -}}
{{- $_ := set . "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- end -}}

{{/* The name of what belongs to the Deployment follows it. All others are the same everywhere: messages and docs state them. */}}
{{- define "sbo.renamed" -}}
{{- ternary (include "sbo.name" .root) .name (eq .name "security-baseline-operator") -}}
{{- end -}}
