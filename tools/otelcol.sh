#!/usr/bin/env bash
# Puts otelcol, the small OpenTelemetry Collector of stacks/native/otelcol, into
# the user's cache folder, where the tests and prismctl dev find it. A second run
# finds what the first has made.
set -euo pipefail
export CGO_ENABLED=0
exec "$(dirname "$0")/native.sh" otelcol 0.161.0 otelcol . -ldflags "-s -w"
