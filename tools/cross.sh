#!/usr/bin/env bash
# Builds and vets both programs for each OS/ARCH given, without cgo.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export CGO_ENABLED=0 GOFLAGS=-trimpath # for both: what one has compiled the other finds
for target in "$@"; do
	export GOOS=${target%/*} GOARCH=${target#*/}
	go build -o "$out/" ./cmd/prismd ./cmd/prismctl
	go list -deps ./cmd/... | grep "^$(go list -m)/" | xargs go vet
	echo "$target: both programs built and vetted"
done
