#!/bin/sh
# Compares the protos of the working tree with those of an earlier commit:
#
#   BUF="go tool -modfile=../tools/go.mod buf" tools/protocheck/breaking.sh
#
# Run it in the root of the repository. BUF is run in proto/. BASE is the commit
# to compare with: by default the one before HEAD, or HEAD itself in a clone of
# depth 1, where uncommitted changes are all there is to find. A commit without
# protos is nothing to compare with. It needs no network, and works in a linked
# worktree too, since it unpacks the old protos instead of cloning.
set -eu
if [ -n "${BASE:-}" ]; then
	base=$(git rev-parse --verify "$BASE^{commit}")
else
	base=$(git rev-parse --quiet --verify 'HEAD~1^{commit}' || git rev-parse HEAD)
fi
if ! git cat-file -e "$base:proto/buf.yaml" 2>/dev/null; then
	echo "no protos at $base: nothing to compare with"
	exit 0
fi
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$base" proto | tar -x -C "$old"
cd proto
${BUF:-buf} breaking --against "$old/proto"
