#!/usr/bin/env bash
# Makes ready what a test control plane needs, and says where it is in two lines on stdout:
#
#   launcher=PATH   the executable that starts a control plane (see main.go)
#   assets=PATH     the folder of etcd, kube-apiserver and kube-controller-manager; where they are built here, of kubectl too
#
# Everything for people goes to stderr. Where KUBEBUILDER_ASSETS names a folder with all three executables, those are
# used. Otherwise they are built once from their Go modules, at the versions that go.mod pins, into
# ${XDG_CACHE_HOME:-~/.cache}/security-baseline-operator; later calls take no time. KUBERNETES=v1.34.4 names another
# Kubernetes than the pinned one (see other-version.sh), and is always built.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"
components=(etcd kube-apiserver kube-controller-manager)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/security-baseline-operator
# A newer Go is the user's to install; none is fetched in passing.
export GOTOOLCHAIN=local

say() { echo "controlplane: $*" >&2; }
fail() { say "$*"; exit 1; }

# short_hash FILE...: 12 digits that change with any content.
short_hash() { cat -- "$@" | sha256sum | cut -c1-12; }

# missing DIR: the executables that DIR lacks.
missing() {
  local name
  for name in "${components[@]}"; do
    [[ -x $1/$name ]] || echo "$name"
  done
}

need_go() {
  local wanted found
  wanted=$(awk '$1 == "go" { print $2; exit }' go.mod)
  command -v go >/dev/null || fail "Go $wanted or newer is needed to build the test control plane, and there is none; install it (https://go.dev/dl)"
  found=$(go version | awk '{ sub(/^go/, "", $3); print $3 }')
  if [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n1) != "$wanted" ]]; then
    fail "Go $wanted or newer is needed to build the test control plane, and this is Go $found; install a newer one (https://go.dev/dl)"
  fi
}

# locked NAME COMMAND...: runs COMMAND while no other builder of NAME does.
locked() {
  local name=$1
  shift
  mkdir -p "$cache"
  (
    # Not inherited by what is started in here (9>&-), so that it is free again when this shell ends, however it ends.
    exec 9>"$cache/$name.lock"
    if ! flock -n 9; then
      say "waiting for another build of $name"
      flock 9
    fi
    "$@"
  )
}

build_launcher() {
  [[ ! -x $launcher ]] || return 0
  need_go
  local folder temporary
  folder=$(dirname "$launcher")
  mkdir -p "$folder"
  temporary=$folder/.building.$$
  # shellcheck disable=SC2064  # the trap outlives the variable
  trap "rm -f '$temporary'" EXIT
  go build -trimpath -o "$temporary" . >&2 9>&-
  mv "$temporary" "$launcher"
}

write_module() {
  [[ ! -f $module/go.mod ]] || return 0
  need_go
  rm -rf "$module.writing"
  ./other-version.sh "$version" "$module.writing" >&2
  mv "$module.writing" "$module"
}

build_components() {
  [[ -n $(missing "$built") ]] || return 0
  need_go
  local temporary total began now last=0 ldflags minor status=0
  say "building etcd, kube-apiserver and kube-controller-manager $version from source, once: about 5 to 10 minutes on 2 cores, 3 GB of memory"
  say "fetching their Go modules"
  cd "$module"
  total=$(go list -deps ./components 9>&- | wc -l) || fail "the Go modules could not be fetched"
  rm -rf "$built" "$built".building.*
  temporary=$built.building.$$
  mkdir -p "$temporary"
  minor=${version#v*.}
  ldflags="-s -w"
  ldflags+=" -X k8s.io/component-base/version.gitVersion=$version"
  ldflags+=" -X k8s.io/component-base/version.gitMajor=$(cut -d. -f1 <<<"${version#v}")"
  ldflags+=" -X k8s.io/component-base/version.gitMinor=${minor%%.*}"
  began=$SECONDS
  go build -v -trimpath -ldflags "$ldflags" -o "$temporary/components" ./components 2>"$temporary/build.log" 9>&- &
  local builder=$!
  # shellcheck disable=SC2064  # the trap outlives the variables
  trap "kill $builder 2>/dev/null || true; rm -rf '$temporary'" EXIT
  trap 'exit 130' INT TERM HUP
  while kill -0 "$builder" 2>/dev/null; do
    sleep 1 9>&-
    now=$((SECONDS - began))
    if ((now - last >= 15)); then
      last=$now
      say "$((now / 60))m$((now % 60))s: $(wc -l <"$temporary/build.log") packages compiled, of at most $total"
    fi
  done
  wait "$builder" || status=$?
  # shellcheck disable=SC2064  # as above; and the process id may be another's from now on
  trap "rm -rf '$temporary'" EXIT
  if ((status != 0)); then
    tail -n 20 "$temporary/build.log" >&2
    fail "the build failed; the end of its output is above"
  fi
  rm "$temporary/build.log"
  local name
  for name in "${components[@]}" kubectl; do
    ln -s components "$temporary/$name"
  done
  mv "$temporary" "$built"
  say "built in $(((SECONDS - began) / 60))m$(((SECONDS - began) % 60))s: $built"
}

[[ $(uname -s) == Linux ]] || fail "the test control plane runs on Linux only"

launcher=$cache/launcher-$(short_hash go.mod ./*.go)/controlplane
[[ -x $launcher ]] || locked launcher build_launcher

assets=
if [[ -n ${KUBEBUILDER_ASSETS:-} && -z ${KUBERNETES:-} ]]; then
  lacking=$(missing "$KUBEBUILDER_ASSETS" | paste -sd' ')
  if [[ -z $lacking ]]; then
    assets=$(cd "$KUBEBUILDER_ASSETS" && pwd)
  else
    say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS is not used: it lacks $lacking"
  fi
fi
if [[ -z $assets ]]; then
  version=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" { print $3 } $1 == "k8s.io/kubernetes" { print $2 }' go.mod | head -n1)
  [[ -n $version ]] || fail "go.mod does not require k8s.io/kubernetes"
  module=$here
  built=$cache/controlplane-$version-$(short_hash go.mod go.sum components/main.go)
  if [[ -n ${KUBERNETES:-} && $KUBERNETES != "$version" ]]; then
    version=$KUBERNETES
    hash=$(short_hash other-version.sh components/main.go)
    module=$cache/module-$version-$hash
    built=$cache/controlplane-$version-$hash
    [[ -f $module/go.mod ]] || locked module write_module
    # It comes without a go.sum; what is fetched is held to the checksum database all the same.
    export GOFLAGS=-mod=mod
  fi
  [[ -z $(missing "$built") ]] || locked controlplane build_components
  assets=$built
fi

echo "launcher=$launcher"
echo "assets=$assets"
