#!/usr/bin/env bash
# Makes everything that is made. With --check it fails when that changes a file.
set -euo pipefail
cd "$(dirname "$0")/.."
made() {
	{
		find proto -name '*.pb.go'
		find docs/reference docs/capabilities.md docs/errors.md docs/config.md docs/stacks.md -type f 2>/dev/null || true
		echo pkg/driver/around/zz_generated.go
	} | sort | xargs sha256sum
}
[ "${1:-}" = --check ] && before=$(made)
(cd proto && "$TOOLS"/buf generate)
go generate ./pkg/driver/around
go run ./docs/gen docs
if [ "${1:-}" = --check ]; then
	if ! changed=$(diff <(echo "$before") <(made)); then
		printf 'generated files were not up to date; they are now, commit them:\n%s\n' "$changed"
		exit 1
	fi
	echo "generated files are up to date"
fi
