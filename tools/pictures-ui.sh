#!/usr/bin/env bash
# Takes the pictures of docs/screens: a gateway of its own in an empty folder, with
# data in every model and a load on it, and the dashboards on a pseudo-terminal
# beside it (test/pictures). Nothing is drawn by hand. Arguments go to test/pictures.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
ctl=$root/bin/prismctl
work=$(mktemp -d)
was=$HOME
export HOME=$work XDG_RUNTIME_DIR=$work XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config NO_COLOR=1
load=
finish() {
	[ -z "$load" ] || kill "$load" 2>/dev/null || true
	(cd "$work" && "$ctl" dev down >/dev/null 2>&1) || true
	rm -rf "$work"
}
trap finish EXIT

pictures=$work/pictures
(cd "$root" && HOME=$was go build -o "$pictures" ./test/pictures)
cd "$work"
mkdir -p state/prism && echo "{\"seen\":true}" >state/prism/ui.json # no hint for a first start
"$ctl" dev up --detach --auto-ports >/dev/null
# By a name of its own: that of the folder is another one each time.
(eval "$("$ctl" dev env -o shell)" && "$ctl" context add shop --data "$PRISM_DATA" --admin "$PRISM_ADMIN" >/dev/null)
export PRISM_CONTEXT=shop

for i in $(seq 1 40); do
	"$ctl" kv set "user:$i" "{\"id\":$i,\"name\":\"ann $i\"}" --ttl "${i}h" -q >/dev/null
done
"$ctl" queue create mail -q >/dev/null || true
for i in 1 2 3 4 5; do "$ctl" queue publish mail "{\"to\":\"ann $i\"}" -q >/dev/null; done

"$ctl" loadtest run kv --keys 2000 --rate 400 --duration 10m >/dev/null 2>&1 &
load=$!
"$pictures" -prismctl "$ctl" -out "$root/docs/screens" "$@"
