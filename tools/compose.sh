#!/usr/bin/env bash
# Builds prism-compose, which runs stacks in containers, into the user's cache
# folder, where the tests and prismctl dev find it. Wants Go. A second run builds
# what has changed.
set -euo pipefail
home=${XDG_CACHE_HOME:-$HOME/.cache}/prism-test/compose
module=$(cd "$(dirname "$0")/.." && pwd)/stacks/native/compose
mkdir -p "$home"
work=$(mktemp -d "$home/.made-XXXXXX") # on the same file system, for mv
trap 'rm -rf "$work"' EXIT
(cd "$module" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/prism-compose" .)
cmp -s "$work/prism-compose" "$home/prism-compose" || mv "$work/prism-compose" "$home/"

# prismctl dev looks for programs here.
native=${XDG_DATA_HOME:-$HOME/.local/share}/prism/native
mkdir -p "$native"
ln -sfn "$home/prism-compose" "$native/prism-compose"
