#!/usr/bin/env bash
# Puts Redis 8 into the user's cache folder, where the tests find it: the one of
# Debian 13 with the libraries it wants, unpacked and run by its own loader.
# Wants Debian, and neither root nor a container. A second run finds what the
# first has made.
set -euo pipefail
home=${XDG_CACHE_HOME:-$HOME/.cache}/prism-test/redis-8
[ -x "$home/redis-server" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{state/lists/partial,cache/archives/partial,debs,root,made/lib}
# The mirror is the machine's own.
mirror=$(grep -rhoE '(https?|file)://[^ ]+' /etc/apt/sources.list /etc/apt/sources.list.d/ 2>/dev/null | grep -m1 -E '/debian/?$' || true)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} trixie main" >"$work/sources.list"
apt() { # COMMAND…, in a state of its own
	apt-get -qq -o Dir::State="$work/state" -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache" \
		-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o APT::Sandbox::User= -o Acquire::Languages=none "$@"
}
apt update
(cd "$work/debs" && apt download redis-server redis-tools libc6 libgcc-s1 libstdc++6 libatomic1 libjemalloc2 liblzf1 \
	libsystemd0 libssl3t64 libcap2 zlib1g libzstd1)
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done

binary=$(readlink -f "$work/root/usr/bin/redis-server") # one file is behind all of Redis's names
cp "$binary" "$work/made/redis.bin"
loader=$(find "$work/root" -name 'ld-linux*.so.*' | head -n 1)
libs=$(dirname "$(find "$work/root" -name libc.so.6 | head -n 1)")
cp -L "$loader" "$work/made/lib/"
"$loader" --library-path "$libs" --list "$binary" | grep -oE "$libs/[^ ]+" | sort -u | xargs cp -L -t "$work/made/lib"
cat >"$work/made/redis-server" <<END
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
exec "\$here/lib/$(basename "$loader")" --argv0 redis-server --library-path "\$here/lib" "\$here/redis.bin" "\$@"
END
chmod +x "$work/made/redis-server"
"$work/made/redis-server" --version
mkdir -p "$(dirname "$home")"
rm -rf "$home"
mv "$work/made" "$home"
