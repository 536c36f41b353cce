#!/usr/bin/env bash
# The suite: each step by name with its minutes, the fast ones first. A step that
# fails does not stop the others; the end lists them all. PRISM_TEST_REQUIRE=all
# makes what is not run a failure; PRISM_TEST_FUZZ=30s adds that much fuzzing.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TOTALS=$work/totals
require=()
[ "${PRISM_TEST_REQUIRE:-}" = all ] && require=(-require)

steps=() failed=()
step() { # NAME COMMAND…
	local name=$1 began=$SECONDS verdict=ok
	shift
	printf '\n=== %s\n' "$name"
	"$@" || verdict=FAIL
	[ $verdict = ok ] || failed+=("$name")
	steps+=("$(printf '%-5s %6s min  %s' $verdict "$(awk "BEGIN { printf \"%.1f\", ($SECONDS - $began) / 60 }")" "$name")")
	printf -- '--- %s: %s, %s s\n' "$name" $verdict $((SECONDS - began))
	[ $verdict = ok ]
}
stop() {
	end
	exit 1
}
end() {
	printf '\n'
	printf '%s\n' "${steps[@]}"
	for f in ${failed[@]+"${failed[@]}"}; do echo "FAIL: $f"; done
	[ -s "$TOTALS" ] && "$work/testsum" -total "$TOTALS"
}
gotest() { # FLAGS AND PACKAGES…
	go test -json "$@" | "$work/testsum" ${require[@]+"${require[@]}"} -add "$TOTALS"
}

# What is made, is not: it would be most of the profiles.
covered=./cmd/...,./docs/...,./loadtest/...,./pkg/...,./stacks/...,./test/...,./tui/...

layers() { gotest -count=1 -run Layers ./pkg; }
build() { make --no-print-directory build tools && (cd tools && go build -o "$work/" ./testsum ./covercheck); }
# The suite's own tests, which seed defects, have nothing to race and take three
# times as long with the detector.
unit() {
	local packages status=0
	packages=$(go list ./... | grep -vE '/test/(e2e|faults|real)(/|$)|/driver/(redis|clickhouse|drivertest)$') || return 1
	gotest -race -timeout 20m -covermode=atomic -coverpkg="$covered" -coverprofile="$work/unit.out" $packages || status=1
	gotest -timeout 20m -covermode=atomic -coverpkg="$covered" -coverprofile="$work/suite.out" ./pkg/driver/drivertest || status=1
	return $status
}
# Drivers of servers: the promises, which mostly wait for the servers, are asked in
# the matrix alone.
servers() {
	gotest -race -skip '^TestConformance' -timeout 40m -covermode=atomic -coverpkg="$covered" -coverprofile="$work/servers.out" ./pkg/driver/redis ./pkg/driver/clickhouse
}
conformance() { MATRIX_COVER=$work/matrix.out tools/matrix.sh --check; }
tooltests() { (cd tools && go test -json -coverprofile="$work/tools.out" ./... | "$work/testsum" ${require[@]+"${require[@]}"} -add "$TOTALS"); }
# What has a module of its own below stacks/native runs as a program: covercheck does not count it.
nativetests() {
	local module status=0
	for module in stacks/native/*/; do (cd "$module" && gotest -count=1 -timeout 10m ./...) || status=1; done
	return $status
}
alertrules() { (cd test/real/prometheus && gotest -count=1 ./...); }
endtoend() { # the programs are built to count what they cover
	mkdir -p "$work/programs"
	PRISM_E2E_COVER=$work/programs gotest -count=1 -timeout 20m -covermode=atomic -coverpkg="$covered" -coverprofile="$work/e2e.out" ./test/e2e/...
	local status=$?
	go tool covdata textfmt -i="$work/programs" -o="$work/programs.out" || status=1
	return $status
}
faults() { PRISM_TEST_BIN=$root/bin gotest -count=1 -p 1 -timeout 20m -covermode=atomic -coverpkg="$covered" -coverprofile="$work/faults.out" ./test/faults/...; }
containers() { CONTAINERS_COVER=$work/containers.out tools/containers.sh -json | "$work/testsum" ${require[@]+"${require[@]}"} -add "$TOTALS"; }
gate() {
	local profiles=()
	for p in "$work"/*.out; do [ -s "$p" ] && profiles+=("$p"); done
	# make cover prints the whole table.
	"$work/covercheck" -root . -modules .,tools "${profiles[@]}" >"$work/coverage" && return
	grep -E 'ACTUAL|FAIL' "$work/coverage"
	return 1
}

step "set-up" tools/setup.sh || stop
step "build and tools" build || stop
step "layers" layers
step "lint" tools/lint.sh
step "generated files" tools/generate.sh --check
step "unit tests, race detector" unit
step "drivers of servers, race detector" servers
step "tests of the tools" tooltests
step "tests of native programs" nativetests
step "alert rules, by Prometheus" alertrules
step "conformance and matrix" conformance
step "cross-builds" tools/cross.sh darwin/arm64 windows/amd64
step "end to end" endtoend
[ -n "${PRISM_TEST_FUZZ:-}" ] && step "fuzz targets" tools/fuzz.sh "$PRISM_TEST_FUZZ"
step "quick faults" faults
step "containers" containers
step "coverage gate" gate
end
[ ${#failed[@]} -eq 0 ]
