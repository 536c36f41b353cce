#!/usr/bin/env bash
# Coverage of every package against its threshold, from one run without the race
# detector. make test runs the same gate on its own runs.
set -euo pipefail
cd "$(dirname "$0")/.."
go test -coverprofile=coverage.out -coverpkg=./... ./... >/dev/null || echo "some tests fail: make test shows which" >&2
(cd tools && go test -coverprofile=../bin/tools-coverage.out ./... >/dev/null)
cd tools && go run ./covercheck -root .. -modules .,tools ../coverage.out ../bin/tools-coverage.out
