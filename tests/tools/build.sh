#!/usr/bin/env bash
# Makes ready what the slower suites run beside the operator (Helm, Prometheus, ...), and says where it is:
#
#   tests/tools/build.sh NAME...     prints a folder of executables for each NAME, a line each
#
# NAME is a folder here: a Go module whose go.mod names the programs in `tool` lines, at pinned versions, and may have
# commands of its own. A comment in it, `// build tags: ...`, leaves out what no test needs. They are built once, into ${XDG_CACHE_HOME:-~/.cache}/security-baseline-operator; later calls take
# no time. Everything for people goes to stderr.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/security-baseline-operator
# A newer Go is the user's to install; none is fetched in passing.
export GOTOOLCHAIN=local

say() { echo "tools: $*" >&2; }
fail() { say "$*"; exit 1; }

build() {
  local name=$1 built=$2
  [[ ! -d $built ]] || return 0
  local wanted found temporary began=$SECONDS
  wanted=$(awk '$1 == "go" { print $2; exit }' go.mod)
  command -v go >/dev/null || fail "Go $wanted or newer is needed to build $name, and there is none; install it (https://go.dev/dl)"
  found=$(go version | awk '{ sub(/^go/, "", $3); print $3 }')
  [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n1) == "$wanted" ]] ||
    fail "Go $wanted or newer is needed to build $name, and this is Go $found; install a newer one (https://go.dev/dl)"
  say "building $name from source, once: a few minutes on 2 cores"
  rm -rf "$built".building.*
  temporary=$built.building.$$
  mkdir -p "$temporary"
  # shellcheck disable=SC2064  # the trap outlives the variable
  trap "rm -rf '$temporary'" EXIT
  local packages=()
  grep -q '^tool' go.mod && packages+=(tool)
  compgen -G './*/main.go' >/dev/null && packages+=(./...)
  go build -trimpath -tags "$(sed -n 's|^// build tags: ||p' go.mod)" -ldflags '-s -w' -o "$temporary/" "${packages[@]}" >&2 9>&- || fail "$name could not be built"
  mv "$temporary" "$built"
  say "built $name in $(((SECONDS - began) / 60))m$(((SECONDS - began) % 60))s"
}

(($#)) || fail "name at least one of: $(cd "$here" && echo */)"
for name in "$@"; do
  [[ -f $here/$name/go.mod ]] || fail "there is no tool $name: $here/$name/go.mod is missing"
  cd "$here/$name"
  hash=$(find . -type f \( -name '*.go' -o -name 'go.*' \) -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-12)
  built=$cache/tool-$name-$hash
  if [[ ! -d $built ]]; then
    mkdir -p "$cache"
    (
      # Not inherited by what is started in here (9>&-), so that it is free again when this shell ends, however it ends.
      exec 9>"$cache/tool-$name.lock"
      flock -n 9 || { say "waiting for another build of $name"; flock 9; }
      build "$name" "$built"
    )
  fi
  echo "$built"
done
