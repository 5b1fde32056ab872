{{- define "apinizer-gitops.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "apinizer-gitops.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "apinizer-gitops.labels" -}}
{{ include "apinizer-gitops.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* "true" where replicas share the targets. */}}
{{- define "apinizer-gitops.shares" -}}
{{- if gt (int .Values.replicas) 1 }}true{{ end -}}
{{- end -}}

{{/* "true" where the state of replicas is in Secrets. */}}
{{- define "apinizer-gitops.stateInSecrets" -}}
{{- if and (include "apinizer-gitops.shares" .) (eq .Values.kubernetes.state "secret") }}true{{ end -}}
{{- end -}}

{{/* "true" where the state is on a volume that stays. */}}
{{- define "apinizer-gitops.persists" -}}
{{- if and .Values.persistence.enabled (not (include "apinizer-gitops.stateInSecrets" .)) }}true{{ end -}}
{{- end -}}

{{/* The names of the files: replicas share the key of the fingerprints. */}}
{{- define "apinizer-gitops.files" -}}
{{- $keys := .Values.secrets.files.keys -}}
{{- if include "apinizer-gitops.shares" . -}}
{{- $keys = append $keys "FINGERPRINT_KEY" | uniq -}}
{{- end -}}
{{- join " " $keys -}}
{{- end -}}

{{- define "apinizer-gitops.config" -}}
{{- $config := dict "source" .Values.source "targets" .Values.targets -}}
{{- $_ := set $config "server" (merge (dict "listen" "0.0.0.0:8080") .Values.server) -}}
{{- if include "apinizer-gitops.shares" . -}}
{{- $_ := set $config "kubernetes" .Values.kubernetes -}}
{{- $_ := set $config "fingerprint_key" "${env:FINGERPRINT_KEY}" -}}
{{- end -}}
{{- toYaml (merge (deepCopy .Values.config) $config) -}}
{{- end -}}
