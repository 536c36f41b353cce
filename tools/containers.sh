#!/usr/bin/env bash
# Runs the tests of test/real that want containers: on the engine that answers, or
# on one of its own, which it starts and ends (root on Debian). Images that are not there
# are made of this machine's programs; PRISM_TEST_IMAGE_REDIS and
# PRISM_TEST_IMAGE_CLICKHOUSE name others, which are pulled.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
finish() {
	tools/engine.sh --stop "$work"
	rm -rf "$work"
}
trap finish EXIT

if docker info >/dev/null 2>&1 || { DOCKER_HOST=$(tools/engine.sh "$work") && export DOCKER_HOST; }; then
	[ -n "${PRISM_TEST_IMAGE_REDIS:-}" ] || tools/images.sh redis
	[ -n "${PRISM_TEST_IMAGE_CLICKHOUSE:-}" ] || tools/images.sh clickhouse
	tools/images.sh dex otelcol nats postgres helper
fi
export PRISM_TEST_IMAGE_REDIS=${PRISM_TEST_IMAGE_REDIS:-prism-test/redis:8} PRISM_TEST_IMAGE_CLICKHOUSE=${PRISM_TEST_IMAGE_CLICKHOUSE:-prism-test/clickhouse:18}
export TESTCONTAINERS_RYUK_DISABLED=true # its image cannot be made here
status=0
go test -count=1 -p 1 -timeout 30m ${CONTAINERS_COVER:+-covermode=atomic -coverpkg=./... -coverprofile="$CONTAINERS_COVER"} "$@" ./test/real/... || status=1
(cd test/real/containers && go test -count=1 -timeout 20m "$@" ./...) || status=1 # the trap wants this folder
exit $status
