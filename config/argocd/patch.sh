#!/usr/bin/env bash
# Prints the patch for Argo CD's ConfigMap argocd-cm that holds what is in resource_customizations/ here:
#
#   config/argocd/patch.sh >config/argocd/argocd-cm.yaml      (`make generate` does)
#
# The folder is in the layout of Argo CD's own, so that it can be copied there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/resource_customizations"

# A file as a block of YAML, so far to the right.
block() { awk -v "pad=$(printf '%*s' "$1" '')" '{ print ($0 == "" ? "" : pad $0) }' "$2"; }

cat <<'YAML'
# Generated from resource_customizations/, where the reasons stand, by `make generate`. Do not edit.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
data:
YAML
for folder in */*/; do
  folder=${folder%/}
  key=${folder/\//_}
  printf '  resource.customizations.health.%s: |\n' "$key"
  block 4 "$folder/health.lua"
  [[ -d $folder/actions ]] || continue
  printf '  resource.customizations.actions.%s: |\n    discovery.lua: |\n' "$key"
  block 6 "$folder/actions/discovery.lua"
  printf '    definitions:\n'
  for action in "$folder"/actions/*/action.lua; do
    printf '    - name: %s\n      action.lua: |\n' "$(basename "$(dirname "$action")")"
    block 8 "$action"
  done
done
