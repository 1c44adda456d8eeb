{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{- define "tracehound.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "tracehound.fullname" -}}
{{- $name := include "tracehound.name" . -}}
{{- $whole := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $whole | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "tracehound.selector" -}}
app.kubernetes.io/name: {{ include "tracehound.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tracehound.labels" -}}
{{ include "tracehound.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "tracehound.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "tracehound.fullname" .) "default") -}}
{{- end }}

{{- define "tracehound.image" -}}
{{- $tag := .Values.image.tag | default (printf "%s%s" .Chart.AppVersion (.Values.store.enabled | ternary "-store" "")) -}}
{{- with .Values.image.digest -}}
{{ $.Values.image.repository }}@{{ . }}
{{- else -}}
{{ .Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end }}

{{/* Where probes and metrics are. Without metrics on the node's network, nobody but the node itself can ask. */}}
{{- define "tracehound.metricsListen" -}}
{{- if or .Values.metrics.enabled .Values.probes.enabled -}}
{{- and (not .Values.metrics.enabled) .Values.hostNetwork | ternary "127.0.0.1" "" -}}:{{ int .Values.metrics.port }}
{{- end -}}
{{- end }}

{{/* The agent's settings: what values lead to, under what `settings` says. */}}
{{- define "tracehound.settings" -}}
{{- $tls := dict -}}
{{- if .Values.grpc.tlsSecret -}}
{{- $tls = dict "cert" "/etc/tracehound/tls/tls.crt" "key" "/etc/tracehound/tls/tls.key" -}}
{{- if .Values.grpc.clientCertificates -}}{{- $_ := set $tls "client_ca" "/etc/tracehound/tls/ca.crt" -}}{{- end -}}
{{- end -}}
{{- $settings := .Values.settings | default dict -}}
{{- $mutual := or (and .Values.grpc.tlsSecret .Values.grpc.clientCertificates) (dig "api" "tls" "client_ca" "" $settings) -}}
{{- if and .Values.grpc.listen (not $mutual) (not (regexMatch "^(127\\.[0-9.]+|localhost|\\[::1\\]):" .Values.grpc.listen)) -}}
{{- fail (printf "grpc.listen: %s needs grpc.tlsSecret and grpc.clientCertificates; without them the agent takes only an address of the node itself, such as 127.0.0.1:54321" .Values.grpc.listen) -}}
{{- end -}}
{{- $api := dict "listen" (.Values.grpc.listen | default "") -}}
{{- if $tls -}}{{- $_ := set $api "tls" $tls -}}{{- end -}}
{{- /* a place on the node is reached through its first process (hostPID) */ -}}
{{- $nri := hasPrefix "/" .Values.nri.socket | ternary (printf "/proc/1/root%s" .Values.nri.socket) .Values.nri.socket -}}
{{- $own := dict
    "output" "none"
    "cluster_name" .Values.clusterName
    "kernel" (dict "pin_dir" (printf "/sys/fs/bpf/%s" .Values.hostPaths.pinDirectory))
    "policies" (dict "profile" (.Values.policies.profile | default "") "persist" .Values.policies.persist)
    "detect" (dict "library" .Values.rules.library)
    "identity" (dict "kubernetes" true "policies" .Values.policies.watch "nri" $nri "nri_fail_closed" .Values.nri.failClosed)
    "store" (dict "enabled" .Values.store.enabled)
    "api" $api
    "metrics" (dict "listen" (include "tracehound.metricsListen" .) "labels" .Values.metrics.labels "max_series" (int .Values.metrics.maxSeries))
-}}
{{- toYaml (mergeOverwrite $own (deepCopy $settings)) -}}
{{- end }}

{{- define "tracehound.capabilities" -}}
{{- $all := list "BPF" "PERFMON" "SYS_PTRACE" "DAC_READ_SEARCH" "SYSLOG" "CHOWN" "SETUID" "SETGID" "KILL" -}}
{{- if .Values.capabilities.sysResource -}}{{- $all = append $all "SYS_RESOURCE" -}}{{- end -}}
{{- if .Values.capabilities.sysAdmin -}}{{- $all = append $all "SYS_ADMIN" -}}{{- end -}}
{{- toYaml (concat $all .Values.capabilities.extra | uniq) -}}
{{- end }}

{{/* ConfigMaps that become a directory each: name of the value's files → directory. */}}
{{- define "tracehound.directories" -}}
{{- $exporters := dict -}}
{{- range $name, $content := .Values.exporters -}}{{- $_ := set $exporters (printf "%s.yaml" $name) (toYaml $content) -}}{{- end -}}
{{- toYaml (dict "policies" .Values.policies.files "rules" .Values.rules.files "exceptions" .Values.rules.exceptions "exporters" $exporters) -}}
{{- end }}
