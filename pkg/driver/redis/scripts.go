package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that Redis gives a script
	_ "embed"     // the scripts
	"encoding/hex"
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
type script struct{ text, sum string }

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the name that Redis gives it
	return &script{text, hex.EncodeToString(sum[:])}
}

// The scripts, in their own words or after the prelude.
var (
	batchScript  = newScript(ledgerText + prelude + batchText)
	commitScript = newScript(ledgerText + prelude + commitText)
	sweepScript  = newScript(ledgerText + prelude + sweepText)
	scanScript   = newScript(scanText)
	dropScript   = newScript(dropText)
	importScript = newScript(ledgerText + prelude + importText)
	cacheScript  = newScript(ledgerText + prelude + cacheText)
	lockScript   = newScript(lockText)

	scripts = append([]*script{batchScript, commitScript, sweepScript, scanScript, dropScript, importScript, cacheScript, lockScript}, lineScripts...)
)

// loadScripts gives the scripts to the server, which forgets them when it
// restarts.
func loadScripts(ctx context.Context, c redis.Cmdable) error {
	pipe := c.Pipeline()
	for _, s := range scripts {
		pipe.ScriptLoad(ctx, s.text)
	}
	_, err := pipe.Exec(ctx)
	return err
}

// run calls a script, and gives it to a server that does not know it: one that
// was restarted. Nothing was done then.
func (s *store) run(ctx context.Context, script *script, keys []string, args ...any) *redis.Cmd {
	cmd := s.client.EvalSha(ctx, script.sum, keys, args...)
	if noScript(cmd.Err()) {
		if err := loadScripts(ctx, s.client); err != nil {
			cmd.SetErr(err)
			return cmd
		}
		cmd = s.client.EvalSha(ctx, script.sum, keys, args...)
	}
	return cmd
}

func noScript(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") }
