#!/usr/bin/env bash
# Makes images of this machine's programs for the engine at DOCKER_HOST, for tests
# on machines where nothing can be pulled. What is there already, made of the
# same program by the same script, is not made again.
#
#	images.sh NAME…
#
#	redis       prism-test/redis:8        Debian 13's (tools/redis8.sh)
#	clickhouse  prism-test/clickhouse:18  Debian's
#	nats        prism-test/nats:2.9       Debian's
#	postgres    prism-test/postgres:15    Debian's
#	dex         prism-test/dex:2.45.1     tools/dex.sh
#	otelcol     prism-test/otelcol:0.161.0  tools/otelcol.sh
#	helper      prism-test/helper         test/real/helper: what containers do wrong
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/sbin:/sbin
cache=${XDG_CACHE_HOME:-$HOME/.cache}/prism-test
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

program() { # NAME: where it is
	command -v "$1" || { echo "images: $1 is not there (tools/setup.sh sees to it)" >&2; return 1; }
}

# image REF PROGRAM FILL CHANGE…: FILL puts files into $root, PROGRAM tells one
# state of the machine from another.
image() {
	local ref=$1 program=$2 fill=$3 changes=() made
	shift 3
	made=$(cat "$program" tools/images.sh | sha256sum | cut -c1-16)
	[ "$(docker image inspect --format '{{index .Config.Labels "prism.made"}}' "$ref" 2>/dev/null)" != "$made" ] || return 0
	root=$work/$fill
	mkdir -p "$root"/{tmp,etc,data,usr/local/bin}
	chmod 1777 "$root/tmp"
	$fill "$program"
	for c in "LABEL prism.made=$made" "ENV PATH=/usr/local/bin:/usr/bin:/bin" "$@"; do changes+=(--change "$c"); done
	tar -C "$root" -cf - . | docker import "${changes[@]}" - "$ref" >/dev/null
	rm -rf "$root"
	echo "images: made $ref" >&2
}

# put puts files of the machine and the libraries of programs into $root, where
# they are on the machine.
put() {
	local f
	for f in "$@"; do
		echo "$f"
		[ ! -f "$f" ] || [ ! -x "$f" ] || ldd "$f" 2>/dev/null | grep -oE '/[^ ]+' || true
	done | sort -u | tar -chf - -T - 2>/dev/null | tar -C "$root" -xf -
}

redis() { # with the loader and the libraries of its own system
	local home loader
	home=$(dirname "$1")
	loader=$(cd "$home/lib" && echo ld-linux*)
	mkdir -p "$root"/{lib,lib64}
	cp "$1" "$root/usr/local/bin/redis-server"
	cp "$home"/lib/* "$root/lib/"
	ln -s "../lib/$loader" "$root/lib64/$loader"
}

nats() {
	put "$1"
	ln -s "$1" "$root/usr/local/bin/nats-server"
}

clickhouse() {
	put "$1" /usr/share/zoneinfo
	mkdir -p "$root/var/lib/clickhouse"
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
}

postgres() { # with as much of a system as its entry point wants
	local bin
	bin=$(dirname "$1")
	put "$bin"/{postgres,initdb,psql,pg_isready} /bin/{sh,mkdir,chown,cat,rm,id} "$(program setpriv)" \
		"$(dirname "$bin")"/lib/{plpgsql,dict_snowball}.so "/usr/share/postgresql/$(basename "$(dirname "$bin")")" /usr/share/zoneinfo /usr/lib/locale/C.utf8
	printf 'root:x:0:0::/:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\npostgres:x:999:\n' >"$root/etc/group"
	mkdir -p "$root"/run/postgresql "$root"/var/lib/postgresql
	ln -s /run "$root/var/run"
	for p in postgres initdb psql pg_isready; do ln -s "$bin/$p" "$root/usr/local/bin/$p"; done
	cat >"$root/usr/local/bin/entry" <<'END'
#!/bin/sh
# As the official image: POSTGRES_USER, POSTGRES_DB and POSTGRES_PASSWORD or
# POSTGRES_PASSWORD_FILE say what a new folder of data holds.
set -eu
export PGDATA=${PGDATA:-/var/lib/postgresql/15/data}
if [ "$(id -u)" = 0 ]; then
	[ -z "${POSTGRES_PASSWORD_FILE:-}" ] || export POSTGRES_PASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")"
	mkdir -p "$PGDATA"
	chown -R postgres:postgres /var/lib/postgresql /run/postgresql "$PGDATA"
	exec setpriv --reuid postgres --regid postgres --clear-groups /usr/local/bin/entry "$@"
fi
user=${POSTGRES_USER:-postgres} db=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	[ -n "${POSTGRES_PASSWORD:-}" ] || { echo "POSTGRES_PASSWORD is empty" >&2; exit 1; }
	echo "$POSTGRES_PASSWORD" >/tmp/password
	initdb --no-sync --username "$user" --pwfile /tmp/password --auth-host scram-sha-256 --auth-local trust --encoding UTF8 --locale C.UTF-8
	rm /tmp/password
	echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
	[ "$db" = postgres ] || echo "CREATE DATABASE \"$db\" OWNER \"$user\";" | postgres --single -j postgres
fi
unset POSTGRES_PASSWORD
[ "${1:-postgres}" != postgres ] || shift $(($# > 0))
exec postgres -c listen_addresses='*' "$@"
END
	chmod +x "$root/usr/local/bin/entry"
}

dex() {
	cp "$1" "$root/usr/local/bin/dex"
	mkdir -p "$root/var/dex"
	chown 1001:1001 "$root/var/dex"
}

otelcol() { cp "$1" "$root/otelcol"; }
helper() { cp "$1" "$root/helper"; }

for name in "$@"; do
	case $name in
	redis) tools/redis8.sh >&2 && image prism-test/redis:8 "$cache/redis-8/redis.bin" redis 'WORKDIR /data' 'CMD ["redis-server"]' ;;
	clickhouse) p=$(program clickhouse-server) && image prism-test/clickhouse:18 "$p" clickhouse "ENTRYPOINT [\"$p\",\"--config-file=/etc/config.xml\"]" ;;
	nats) p=$(program nats-server) && image prism-test/nats:2.9 "$p" nats 'CMD ["nats-server"]' ;;
	postgres) image prism-test/postgres:15 /usr/lib/postgresql/15/bin/postgres postgres 'ENTRYPOINT ["/usr/local/bin/entry"]' ;;
	dex) tools/dex.sh && image prism-test/dex:2.45.1 "$cache/dex-2.45.1/dex" dex 'USER 1001:1001' 'CMD ["dex"]' ;;
	otelcol) tools/otelcol.sh && image prism-test/otelcol:0.161.0 "$cache/otelcol-0.161.0/otelcol" otelcol 'ENTRYPOINT ["/otelcol"]' ;;
	helper) CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$work/helper.bin" ./test/real/helper && image prism-test/helper:1 "$work/helper.bin" helper 'ENTRYPOINT ["/helper"]' ;;
	*)
		echo "images: no image is called $name" >&2
		exit 2
		;;
	esac
done
