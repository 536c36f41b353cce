#!/usr/bin/env bash
# Makes docs/reports/load.{html,md,svg,txt}: the report of a real run of
# docs/reports/load.yaml against a gateway of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'kill "$gateway" 2>/dev/null && wait "$gateway" 2>/dev/null || true; rm -rf "$work"' EXIT
gateway=
cat > "$work/prism.yaml" <<'CONFIG'
apiVersion: prism/v1
faults: true
backends:
  - {name: local, driver: pebble, options: {memtable: 16MiB, cache: 32MiB}}
namespaces:
  - {name: stock, model: keyvalue, backend: local, access: {owners: ["user:dev"]}}
  - {name: orders, model: queue, backend: local, access: {owners: ["user:dev"]}}
log: {level: error}
CONFIG
bin/prismd --config "$work/prism.yaml" --data-dir "$work/data" --data 127.0.0.1:18980 --admin 127.0.0.1:18981 --metrics 127.0.0.1:18982 >"$work/prismd.log" 2>&1 &
gateway=$!
for _ in $(seq 100); do
	bin/prismctl --data 127.0.0.1:18980 --admin 127.0.0.1:18981 health >/dev/null 2>&1 && break
	sleep 0.1
done

# The report names neither this machine nor this folder's copy of the program.
export HOME=$work XDG_STATE_HOME=$work
code=0
bin/prismctl --data 127.0.0.1:18980 --admin 127.0.0.1:18981 loadtest run docs/reports/load.yaml --save picture >"$work/out.txt" || code=$?
case $code in 0 | 1 | 99) ;; *) cat "$work/prismd.log" >&2; exit "$code" ;; esac
saved=$work/prism/loadtest/picture.json
sed -i -E 's/"host": "[^"]*"/"host": "example"/' "$saved"
bin/prismctl loadtest report "$saved" --report docs/reports/load.html --report docs/reports/load.md --report docs/reports/load.svg --report docs/reports/load.txt >/dev/null
echo "docs/reports: load.html load.md load.svg load.txt"
