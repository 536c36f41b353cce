#!/usr/bin/env bash
# A container engine of its own for tests: dockerd with all that is its own in a
# folder, and a bridge of its own, so that it meets no other engine of the
# machine. Wants root on Linux.
#
#	engine.sh DIR          starts it and prints its DOCKER_HOST; DIR/pid, DIR/log
#	engine.sh --stop DIR   ends it; DIR can be removed then
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

stop() { # DIR
	local pid
	if pid=$(cat "$1/pid" 2>/dev/null) && grep -qz "^$1/data$" "/proc/$pid/cmdline" 2>/dev/null; then
		kill "$pid"
		for ((i = 0; i < 300; i++)); do
			[ -e "/proc/$pid" ] || break
			sleep 0.1
		done
		[ ! -e "/proc/$pid" ] || { echo "engine: pid $pid does not end" >&2; return 1; }
	fi
	[ ! -e "$1/bridge" ] || ip link delete "$(cat "$1/bridge")" 2>/dev/null || true
	rm -f "$1/pid" "$1/bridge"
}

if [ "$1" = --stop ]; then
	stop "$(realpath "$2")"
	exit
fi
mkdir -p "$1"
dir=$(realpath "$1")
host=unix://$dir/docker.sock
for program in dockerd docker ip; do
	command -v $program >/dev/null || { echo "engine: $program is not there (tools/setup.sh sees to it)" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "engine: wants root" >&2; exit 1; }

# A subnet that no route of the machine leads into.
for ((n = $$ % 250, tries = 0; tries < 250; n = (n + 1) % 250, tries++)); do
	ip route show | grep -q "^10\.213\.$n\." || break
done
bridge=prism-test-$n
ip link add "$bridge" type bridge
echo "$bridge" >"$dir/bridge"
ip addr add "10.213.$n.1/24" dev "$bridge"
ip link set "$bridge" up

# A session of its own: what interrupts the tests is to let them tidy up first.
setsid dockerd -H "$host" --bridge "$bridge" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" </dev/null >"$dir/log" 2>&1 &
engine=$!
for ((i = 0; i < 600; i++)); do
	if DOCKER_HOST=$host docker info >/dev/null 2>&1; then
		echo "$host"
		exit
	fi
	kill -0 "$engine" 2>/dev/null || break
	sleep 0.1
done
tail -n 5 "$dir/log" >&2
stop "$dir" || kill -9 "$engine"
exit 1
