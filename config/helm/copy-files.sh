#!/usr/bin/env bash
# Copies into a folder what the chart renders and does not state itself: the CRDs, the RBAC rules, the admission policies,
# the configuration, and what config/ has for Prometheus and Grafana. `make generate` runs it.
#
#   config/helm/copy-files.sh FOLDER
set -euo pipefail

to=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rm -rf "${to:?}"/*

# copy FOLDER FILE...: copies those that are objects into FOLDER.
copy() {
  local folder=$to/$1 file
  shift
  for file in "$@"; do
    case ${file##*/} in
    # Of kustomize; and the ServiceAccount, which the chart's values shape.
    kustomization.yaml | service_account.yaml) continue ;;
    esac
    [[ -f $file ]] || continue
    mkdir -p "$folder"
    cp "$file" "$folder/"
  done
}

copy crds crds/*.yaml
copy rbac config/rbac/*.yaml
copy admission config/admission/*.yaml
copy manager config/manager/config.yaml
copy pod-security-labels config/components/pod-security-labels/*.yaml
copy network-policy config/components/network-policy/*.yaml
if [[ -d config/prometheus ]]; then
  mapfile -t monitoring < <(grep --recursive --files-with-matches --extended-regexp '^kind: (ServiceMonitor|PrometheusRule)$' config/prometheus | LC_ALL=C sort)
  copy prometheus "${monitoring[@]}"
fi
copy grafana config/grafana/*.json
