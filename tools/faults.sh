#!/usr/bin/env bash
# The full forms of the fault tests. Their lines become docs/faults.md. With a
# pattern, such as 'F(8|9)_', only those run, and the other rows stay.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
status=0 merge=()
[ $# -gt 0 ] && merge=(-merge)
PRISM_FAULTS=full PRISM_TEST_REQUIRE=all go test -count=1 -p 1 -timeout 3h -json -run "^Test(Fault|Attack)_${1:-}" \
	./test/faults/... ./pkg/supervise/... ./test/e2e/... | tee "$lines" | (cd tools && go run ./testsum -require) || status=$?
(cd tools && go run ./faultdoc -form full ${merge[@]+"${merge[@]}"} -commit "$(git rev-parse --short=12 HEAD)" -out ../docs/faults.md) <"$lines"
exit $status
