#!/usr/bin/env bash
# Runs the executable of an unpacked image as a kubelet would have it run: from the image's root, read-only, as user 65532
# without any privilege, with the configuration and the ServiceAccount's token where the Deployment mounts them.
#
#   ROOT=FOLDER KUBECONFIG=FILE in-image.sh run --config=FILE
#
# It needs root, for the mounts; those are its own and end with it.
set -euo pipefail
: "${ROOT:?names no unpacked image}" "${KUBECONFIG:?names no kubeconfig}"
config=${2#--config=}
about() { kubectl config view --raw --minify --output "jsonpath={$1}"; }
server=$(about '.clusters[0].cluster.server')
[[ $server =~ ^https://([^:/]+):([0-9]+) ]]

secrets=$ROOT/var/run/secrets/kubernetes.io/serviceaccount
mkdir -p "$secrets" "$ROOT/etc/security-baseline-operator"
chroot=$(command -v chroot)
export secrets config chroot
token=$(about '.users[0].user.token')
ca=$(about '.clusters[0].cluster.certificate-authority-data' | base64 --decode)
export token ca
environment=(
  "KUBERNETES_SERVICE_HOST=${BASH_REMATCH[1]}" "KUBERNETES_SERVICE_PORT=${BASH_REMATCH[2]}"
  "POD_NAMESPACE=$POD_NAMESPACE" "POD_NAME=$POD_NAME"
)
# shellcheck disable=SC2016  # the inner shell expands it
exec unshare --mount bash -euc '
  mount --bind "$ROOT" "$ROOT"
  mount -t tmpfs secrets "$secrets"
  printf %s "$token" >"$secrets/token"
  printf "%s\n" "$ca" >"$secrets/ca.crt"
  printf %s "$POD_NAMESPACE" >"$secrets/namespace"
  mount -t tmpfs config "$ROOT/etc/security-baseline-operator"
  cp "$config" "$ROOT/etc/security-baseline-operator/"
  mount -o remount,bind,ro "$ROOT"
  exec setpriv --no-new-privs env --ignore-environment --chdir=/ "$@" \
    "$chroot" --userspec=65532:65532 --groups= "$ROOT" /security-baseline-operator run --config=/etc/security-baseline-operator/config.yaml
' - "${environment[@]}"
