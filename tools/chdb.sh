#!/usr/bin/env bash
# Puts ClickHouse 26 as a library and prism-chdb, the HTTP server around it, into
# the user's cache folder, where the tests and prismctl dev find them. Wants
# linux on x86-64, npm and Go. A second run gets nothing anew and builds what
# has changed.
set -euo pipefail
version=26.5.3
home=${XDG_CACHE_HOME:-$HOME/.cache}/prism-test/chdb-$version
module=$(cd "$(dirname "$0")/.." && pwd)/stacks/native/chdb
mkdir -p "$home"
work=$(mktemp -d "$home/.made-XXXXXX") # on the same file system, for mv
trap 'rm -rf "$work"' EXIT

if [ ! -e "$home/libchdb.so" ]; then
	(cd "$work" && npm pack --silent "@chdb/lib-linux-x64-gnu@$version" >/dev/null && tar -xzf ./*.tgz package/libchdb.so)
	mv "$work/package/libchdb.so" "$home/"
fi
(cd "$module" && CGO_ENABLED=0 go build -trimpath -o "$work/prism-chdb" .)
cmp -s "$work/prism-chdb" "$home/prism-chdb" || mv "$work/prism-chdb" "$home/"

# prismctl dev looks for programs here.
native=${XDG_DATA_HOME:-$HOME/.local/share}/prism/native
mkdir -p "$native"
ln -sfn "$home/prism-chdb" "$native/prism-chdb"
