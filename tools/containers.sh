#!/usr/bin/env bash
# Runs the tests of test/real/containers: on the engine that answers, or on one of
# its own, which it starts and ends (root on Debian). Images that are not there
# are made of this machine's programs; PRISM_TEST_IMAGE_REDIS and
# PRISM_TEST_IMAGE_CLICKHOUSE name others, which are pulled.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
engine=
finish() {
	[ -z "$engine" ] || { kill "$engine" && wait "$engine" || true; }
	rm -rf "$work"
}
trap finish EXIT

start_engine() {
	[ "$(id -u)" = 0 ] || return 0
	if ! command -v dockerd >/dev/null && command -v apt-get >/dev/null; then
		echo "containers: installing docker.io" >&2
		printf '#!/bin/sh\nexit 101\n' >"$work/policy"
		chmod +x "$work/policy"
		if [ ! -e /usr/sbin/policy-rc.d ]; then # the system is to start nothing
			cp "$work/policy" /usr/sbin/policy-rc.d
			trap 'rm -f /usr/sbin/policy-rc.d; finish' EXIT
		fi
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends docker.io >/dev/null
		rm -f /usr/sbin/policy-rc.d
		trap finish EXIT
	fi
	command -v dockerd >/dev/null || return 0
	export DOCKER_HOST=unix://$work/docker.sock
	dockerd -H "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" >"$work/log" 2>&1 &
	engine=$!
	for ((i = 0; i < 600; i++)); do
		docker info >/dev/null 2>&1 && return
		kill -0 "$engine" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 5 "$work/log" >&2
}

have() { [ -n "$(docker images -q "$1")" ]; }

redis_image() { # the program of tools/redis8.sh, with its loader
	tools/redis8.sh
	local home=${XDG_CACHE_HOME:-$HOME/.cache}/prism-test/redis-8 loader
	loader=$(cd "$home" && echo lib/ld-linux*)
	tar -C "$home" -cf - redis.bin lib | docker import --change "ENTRYPOINT [\"/$loader\",\"--library-path\",\"/lib\",\"/redis.bin\"]" - "$1" >&2
}

clickhouse_image() { # the machine's program and its libraries
	local root=$work/clickhouse program
	program=$(PATH=$PATH:/usr/sbin command -v clickhouse-server)
	mkdir -p "$root"/{etc,tmp,var/lib/clickhouse}
	cat >"$root/etc/config.xml" <<-END
		<yandex><logger><level>information</level><console>1</console></logger><listen_host>0.0.0.0</listen_host>
		<tcp_port>9000</tcp_port><http_port>8123</http_port><path>/var/lib/clickhouse/</path><tmp_path>/tmp/</tmp_path>
		<users_config>users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database>
		<timezone>UTC</timezone><mark_cache_size>67108864</mark_cache_size></yandex>
	END
	cat >"$root/etc/users.xml" <<-END
		<yandex><profiles><default></default></profiles><quotas><default></default></quotas>
		<users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default></users></yandex>
	END
	{ ldd "$program" | grep -oE '/[^ ]+'; echo "$program"; echo /usr/share/zoneinfo; } | tar -chf - -T - 2>/dev/null | tar -C "$root" -xf -
	tar -C "$root" -cf - . | docker import --change "ENTRYPOINT [\"$program\",\"--config-file=/etc/config.xml\"]" - "$1" >&2
}

docker info >/dev/null 2>&1 || start_engine
if docker info >/dev/null 2>&1; then
	: "${PRISM_TEST_IMAGE_REDIS:=prism-test/redis:8}" "${PRISM_TEST_IMAGE_CLICKHOUSE:=prism-test/clickhouse:18}"
	export PRISM_TEST_IMAGE_REDIS PRISM_TEST_IMAGE_CLICKHOUSE
	have prism-test/redis:8 || [ "$PRISM_TEST_IMAGE_REDIS" != prism-test/redis:8 ] || redis_image prism-test/redis:8
	have prism-test/clickhouse:18 || [ "$PRISM_TEST_IMAGE_CLICKHOUSE" != prism-test/clickhouse:18 ] || clickhouse_image prism-test/clickhouse:18
fi
export TESTCONTAINERS_RYUK_DISABLED=true # its image cannot be made here
cd test/real/containers && go test -count=1 -timeout 20m "$@" ./...
