#!/usr/bin/env bash
# Format, vet, staticcheck, buf lint, buf breaking. TOOLS is the folder of the tools.
set -uo pipefail
cd "$(dirname "$0")/.."
bad=0
mapfile -t files < <(git ls-files -co --exclude-standard '*.go' | grep -v '\.pb\.go$' | while read -r f; do [ -f "$f" ] && echo "$f"; done)
unformatted=$("$TOOLS"/gofumpt -l "${files[@]}") || bad=1
if [ -n "$unformatted" ]; then
	printf 'not formatted, make format does it:\n%s\n' "$unformatted"
	bad=1
fi
go vet ./... || bad=1
# Dex, the collector and Prometheus bring a thousand packages along for a few files of ours: their tests have to do.
modules=(tools stacks/native/chdb stacks/native/compose test/real/containers)
for m in "${modules[@]}"; do (cd "$m" && go vet ./...) || bad=1; done
# ST1005 off: errors may begin with the name of a method, such as "Get of a missing key".
"$TOOLS"/staticcheck -checks inherit,-ST1005 ./... || bad=1
for m in "${modules[@]}"; do (cd "$m" && "$TOOLS"/staticcheck ./...) || bad=1; done
(cd proto && "$TOOLS"/buf lint) || bad=1
BUF="$TOOLS/buf" sh tools/protocheck/breaking.sh || bad=1
exit $bad
