#!/usr/bin/env bash
# Puts dex, the identity provider, into the user's cache folder, where the tests
# and prismctl dev find it. Wants Go and a C compiler: its SQLite, with which
# sign-ins outlive a restart, is C. On Linux it is linked statically, so that it
# runs in an image of its own. A second run finds what the first has made.
set -euo pipefail
command -v gcc >/dev/null || command -v cc >/dev/null || { echo "dex: a C compiler is not there" >&2; exit 1; }
version=2.45.1
link="-s -w -X main.version=v$version"
[ "$(uname -s)" != Linux ] || link+=" -linkmode external -extldflags -static"
export CGO_ENABLED=1
exec "$(dirname "$0")/native.sh" dex $version dex github.com/dexidp/dex/cmd/dex -tags netgo,osusergo,sqlite_omit_load_extension -ldflags "$link"
