#!/usr/bin/env bash
# Sees to what the tests need and says what it does. On Debian, as root, it
# installs what is missing; elsewhere it names it. Running it again changes
# nothing. With PRISM_TEST_REQUIRE=all, what is missing is a failure.
set -euo pipefail

missing=() packages=()
need() { # COMMAND PACKAGES WHAT FOR
	if ! PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null; then
		missing+=("$1 ($3)")
		packages+=($2)
	fi
}
need gcc "gcc libc6-dev" "the race detector"
need tmux tmux "terminal runs"
need mkfs.ext4 e2fsprogs "power cuts"
need losetup mount "power cuts"
need unshare util-linux "tests with ports of their own"
need ip iproute2 "tests with ports of their own"
need redis-server redis-server "tests of the redis driver"
need nats-server nats-server "the nats driver"
need clickhouse-server clickhouse-server "ClickHouse 18 (tests of the clickhouse driver)"
need java default-jre-headless "ZooKeeper for ClickHouse (tests of the clickhouse driver)"
need npm npm "ClickHouse 26 (tests of the clickhouse driver)"
docker info >/dev/null 2>&1 || need dockerd docker.io "tests on containers"
need setpriv util-linux "images for tests on containers"
if [ ! -e /usr/share/java/zookeeper.jar ]; then
	missing+=("zookeeper.jar (ZooKeeper for ClickHouse; tests of the clickhouse driver)")
	packages+=(libzookeeper-java)
fi

if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
	missing+=("postgres (tests of stacks)")
	packages+=(postgresql)
fi

if ! command -v go >/dev/null; then
	echo "set-up: Go is not there; https://go.dev/dl has it (go.mod says which)" >&2
	exit 1
fi
if [ ${#missing[@]} -eq 0 ]; then
	echo "set-up: nothing to install"
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "set-up: installing ${packages[*]}"
	export DEBIAN_FRONTEND=noninteractive
	# The tests start servers of their own; the system is to start none.
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
		chmod +x /usr/sbin/policy-rc.d
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null ||
		{ apt-get update -qq && apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null; }
	missing=()
fi
if command -v apt-get >/dev/null && [ -z "${PRISM_TEST_REDIS8:-}${PRISM_NATIVE_REDIS8:-}" ]; then
	"$(dirname "$0")/redis8.sh" || missing+=("Redis 8 (tests of the redis driver; tools/redis8.sh says why)")
fi
if [ "$(uname -sm)" = "Linux x86_64" ] && [ -z "${PRISM_NATIVE_CHDB:-}" ]; then
	"$(dirname "$0")/chdb.sh" || missing+=("ClickHouse 26 (tests of the clickhouse driver; tools/chdb.sh says why)")
fi
for native in compose dex otelcol; do
	variable=PRISM_NATIVE_${native^^}
	[ -n "${!variable:-}" ] || "$(dirname "$0")/$native.sh" || missing+=("$native (tests of stacks; tools/$native.sh says why)")
done
for m in ${missing[@]+"${missing[@]}"}; do echo "set-up: NOT THERE: $m" >&2; done
[ ${#missing[@]} -eq 0 ] || [ "${PRISM_TEST_REQUIRE:-}" != all ]
