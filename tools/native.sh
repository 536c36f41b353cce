#!/usr/bin/env bash
# Builds a program of stacks/native into the user's cache folder and links it into
# the folder where prismctl dev looks for programs. A second run builds nothing
# as long as the module is the same.
#
#	native.sh PROGRAM VERSION MODULE PACKAGE [FLAG OF go build…]
set -euo pipefail
program=$1 version=$2 module=$(cd "$(dirname "$0")/.." && pwd)/stacks/native/$3 package=$4
shift 4
home=${XDG_CACHE_HOME:-$HOME/.cache}/prism-test/$program-$version
made=$({ echo "$package $*" "${CGO_ENABLED:-}"; go version; cd "$module"; find . -maxdepth 1 ! -name '*_test.go' \( -name '*.go' -o -name 'go.*' \) | LC_ALL=C sort | xargs cat; } | sha256sum | cut -d' ' -f1)
mkdir -p "$home"
if [ ! -x "$home/$program" ] || [ "$(cat "$home/made" 2>/dev/null)" != "$made" ]; then
	echo "$program: building $version (minutes, once)" >&2
	work=$(mktemp -d "$home/.made-XXXXXX") # on the same file system, for mv
	trap 'rm -rf "$work"' EXIT
	(cd "$module" && go build -trimpath -o "$work/$program" "$@" "$package")
	mv "$work/$program" "$home/"
	echo "$made" >"$home/made"
fi

native=${XDG_DATA_HOME:-$HOME/.local/share}/prism/native
mkdir -p "$native"
ln -sfn "$home/$program" "$native/$program"
