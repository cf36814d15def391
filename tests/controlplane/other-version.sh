#!/usr/bin/env bash
# Writes the Go module that builds another Kubernetes than the one that go.mod pins, into a folder:
#
#   tests/controlplane/other-version.sh v1.34.4 FOLDER
#
# Its dependencies are those of that version's own go.mod, so they are the ones that it was released with. What its go.work
# lists as staging is published in modules of its own, at v0 with the same numbers.
set -euo pipefail

version=$1
[[ $version =~ ^v1\.[0-9]+\.[0-9]+$ ]] || { echo "controlplane: KUBERNETES=$version is no version such as v1.34.4" >&2; exit 1; }
mkdir -p "$2"
to=$(cd "$2" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"

kubernetes=$(GOFLAGS=-mod=mod go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
[[ -n $kubernetes ]] || { echo "controlplane: Kubernetes $version could not be fetched" >&2; exit 1; }
staging=v0.${version#v1.}

mkdir -p "$to/components"
cp components/main.go "$to/components/"
cp "$kubernetes/go.mod" "$to/go.mod"
chmod u+w "$to/go.mod"
edits=(-module=securitybaseline.dev/tests/controlplane "-require=k8s.io/kubernetes@$version")
while read -r module; do
  case $module in
  # Nothing here is made of the samples, and they are not published for every version: an empty module takes their place.
  k8s.io/sample-*)
    mkdir -p "$to/none/$module"
    echo "module $module" >"$to/none/$module/go.mod"
    edits+=("-replace=$module=./none/$module")
    ;;
  *) edits+=("-replace=$module=$module@$staging") ;;
  esac
done < <(sed -n 's#^\t\./staging/src/##p' "$kubernetes/go.work")
go mod edit "${edits[@]}" "$to/go.mod"
