#!/usr/bin/env bash
# Runs the conformance suite on every driver and writes matrix.md and matrix.json
# into a folder. With --check it writes elsewhere and compares. MATRIX_COVER names a
# file for what the run covers.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mapfile -t packages < <(grep -rl --include='*_test.go' '^func TestConformance(' pkg/driver | xargs -n1 dirname | sort -u | sed 's#^#./#')
status=0
PRISM_MATRIX_OUT=$work/outcomes go test -count=1 -timeout 20m ${MATRIX_COVER:+-covermode=atomic -coverpkg=./... -coverprofile="$MATRIX_COVER"} -json -run '^TestConformance' "${packages[@]}" >"$work/events" || status=$?
(cd tools && go run ./testsum ${TOTALS:+-add "$TOTALS"}) <"$work/events" || status=1
if [ "${1:-}" != --check ]; then
	go run ./docs/gen -matrix "$work/outcomes" "$1"
	exit $status
fi
mkdir "$work/docs"
go run ./docs/gen -matrix "$work/outcomes" "$work/docs"
for f in matrix.md matrix.json; do
	diff -u "docs/$f" "$work/docs/$f" || { echo "docs/$f is not what the run shows: make matrix writes it" >&2; status=1; }
done
exit $status
