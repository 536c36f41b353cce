#!/usr/bin/env bash
# Runs every fuzz target for the given time.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
status=0 n=0
for dir in $(grep -rlE --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do
	for target in $(cd "$dir" && go test -list '^Fuzz' . | grep '^Fuzz'); do # there: some have a module of their own
		n=$((n + 1))
		if out=$(cd "$dir" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" . 2>&1); then
			echo "$target $dir: $(grep -o 'execs: .*' <<<"$out" | tail -n 1)"
		elif grep -q '^    context deadline exceeded$' <<<"$out" && ! grep -q 'Failing input' <<<"$out"; then
			# The engine was cut off at the end of its time and found nothing: a flaw of go test.
			echo "$target $dir: $(grep -o 'execs: .*' <<<"$out" | tail -n 1), cut off at its end"
		else
			printf '%s %s: FAIL\n%s\n' "$target" "$dir" "$out"
			status=1
		fi
	done
done
echo "$n fuzz targets, $time each"
[ $n -gt 0 ] && exit $status
