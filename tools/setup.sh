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
need nats-server nats-server "the nats driver"

if ! command -v go >/dev/null; then
	echo "set-up: Go is not there; https://go.dev/dl has it (go.mod says which)" >&2
	exit 1
fi
if [ ${#missing[@]} -eq 0 ]; then
	echo "set-up: nothing to install"
	exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "set-up: installing ${packages[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null ||
		{ apt-get update -qq && apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null; }
	exit 0
fi
for m in "${missing[@]}"; do echo "set-up: NOT THERE: $m" >&2; done
[ "${PRISM_TEST_REQUIRE:-}" != all ]
