package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that Redis gives a script
	_ "embed"     // the scripts
	"encoding/hex"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/prelude.lua
var prelude string

//go:embed lua/batch.lua
var batchText string

//go:embed lua/commit.lua
var commitText string

//go:embed lua/sweep.lua
var sweepText string

//go:embed lua/scan.lua
var scanText string

//go:embed lua/drop.lua
var dropText string

//go:embed lua/import.lua
var importText string

//go:embed lua/cache.lua
var cacheText string

//go:embed lua/lock.lua
var lockText string

// A script is known to the server by its sum.
type script struct {
	text, sum string
	// What it touches beside the meta and the list of what is due: keys of the
	// namespace, and keys of each name that it is given.
	kinds, each []string
}

func newScript(text string, kinds []string, each ...string) *script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the name that Redis gives it
	return &script{text: text, sum: hex.EncodeToString(sum[:]), kinds: kinds, each: each}
}

// The kinds of keys that scripts touch, by model.
var (
	ofKeyValue = []string{kindIndex, kindEnds, kindExpiring, kindChanges, kindReceipts, kindOrder}
	ofCache    = []string{kindCacheReceipts, kindCacheOrder}
)

// The scripts, in their own words or after the prelude.
var (
	batchScript  = newScript(ledgerText+prelude+batchText, ofKeyValue, kindValue)
	commitScript = newScript(ledgerText+prelude+commitText, ofKeyValue, kindValue)
	sweepScript  = newScript(ledgerText+prelude+sweepText, slices.Concat(ofKeyValue, ofCache))
	scanScript   = newScript(scanText, nil)
	dropScript   = newScript(dropText, nil)
	importScript = newScript(ledgerText+prelude+importText, ofKeyValue, kindValue)
	cacheScript  = newScript(ledgerText+prelude+cacheText, ofCache, kindEntry, kindLock)
	lockScript   = newScript(lockText, nil)

	scripts = append([]*script{batchScript, commitScript, sweepScript, scanScript, dropScript, importScript, cacheScript, lockScript}, lineScripts...)
)

// keys are those that a script takes. A cluster is told all that it touches: it then
// refuses (TRYAGAIN) to begin one of whose keys some have moved to another node already,
// which would break off in the middle otherwise.
func (s *store) keys(sc *script, prefix string, names ...string) []string {
	if s.slots == nil {
		return []string{prefix + kindMeta, dueKey}
	}
	keys := append(make([]string, 0, 2+len(sc.kinds)+len(names)*len(sc.each)), prefix+kindMeta, s.due(prefix))
	for _, kind := range sc.kinds {
		keys = append(keys, prefix+kind)
	}
	for _, name := range names {
		for _, kind := range sc.each {
			keys = append(keys, prefix+kind+name)
		}
	}
	return keys
}

// argsOfOp is how many arguments a script has for an operation; the second is its key.
const argsOfOp = 4

// keysOf are the keys of a script that does operations.
func (s *store) keysOf(sc *script, prefix string, ops []any) []string {
	if s.slots == nil {
		return s.keys(sc, prefix)
	}
	var names []string
	for i := 1; i < len(ops); i += argsOfOp {
		if name, ok := ops[i].(string); ok {
			names = append(names, name)
		}
	}
	return s.keys(sc, prefix, names...)
}

// loadScripts gives the scripts to the servers, which forget them when they restart.
func (s *store) loadScripts(ctx context.Context) error {
	return s.masters(ctx, func(ctx context.Context, c *redis.Client) error {
		pipe := c.Pipeline()
		for _, s := range scripts {
			pipe.ScriptLoad(ctx, s.text)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
}

// A caller of scripts names them, or sends them whole to servers that do not know
// them: such as were restarted, or are masters since a moment ago.
type caller struct {
	redis.Cmdable
	whole bool
}

func (c caller) call(ctx context.Context, sc *script, keys []string, args ...any) *redis.Cmd {
	if c.whole {
		return c.Eval(ctx, sc.text, keys, args...)
	}
	return c.EvalSha(ctx, sc.sum, keys, args...)
}

// run calls a script. A server that does not know it has done nothing.
func (s *store) run(ctx context.Context, sc *script, keys []string, args ...any) *redis.Cmd {
	cmd := caller{Cmdable: s.client}.call(ctx, sc, keys, args...)
	if noScript(cmd.Err()) {
		cmd = caller{s.client, true}.call(ctx, sc, keys, args...)
	}
	return cmd
}

func noScript(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") }
