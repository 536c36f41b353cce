package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completeKeeps is how long a shell may be told names that were asked for
// before: a person who hits Tab again has not waited for another answer.
const completeKeeps = 5 * time.Second

// A remembered completion keeps what it was told in the cache folder.
type remembered struct {
	f      *Factory
	number int // which completion of the tree it is
}

type keptNames struct {
	AtMs  int64
	Names []Candidate
}

// names are those that were kept, else new ones. A cache that cannot be read or
// written is none.
func (r remembered) names(ctx context.Context, cmd *cobra.Command, ask func(context.Context) ([]Candidate, error)) ([]Candidate, error) {
	file := r.file(cmd)
	now := r.f.Clock.Now()
	var kept keptNames
	if b, err := os.ReadFile(file); err == nil && json.Unmarshal(b, &kept) == nil {
		if age := now.Sub(time.UnixMilli(kept.AtMs)); age >= 0 && age < completeKeeps {
			return kept.Names, nil
		}
	}
	list, err := ask(ctx)
	if err != nil {
		return nil, err
	}
	if b, err := json.Marshal(keptNames{now.UnixMilli(), list[:min(len(list), completeAtMost)]}); err == nil {
		r.write(file, b, now)
	}
	return list, nil
}

// file is named for what the names depend on: the gateway, who asks, and the
// command line without the word that is completed.
func (r remembered) file(cmd *cobra.Command) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %d %q %q", r.f.Build.Version, r.f.Build.Commit, r.number, cmd.CommandPath(), cmd.Flags().Args())
	cmd.Flags().Visit(func(flag *pflag.Flag) { fmt.Fprintf(h, " %s=%q", flag.Name, flag.Value.String()) })
	if t, err := r.f.Target(); err == nil {
		fmt.Fprintf(h, " %q", []string{t.Data, t.Admin, t.Namespace, t.Token})
	}
	return filepath.Join(r.f.Dirs().Cache, "completion", hex.EncodeToString(h.Sum(nil)[:12])+".json")
}

// write puts a whole file there and takes away what is too old to be read.
func (r remembered) write(file string, b []byte, now time.Time) {
	dir := filepath.Dir(file)
	if os.MkdirAll(dir, 0o700) != nil {
		return
	}
	old, _ := os.ReadDir(dir)
	for _, e := range old {
		if i, err := e.Info(); err == nil && now.Sub(i.ModTime()) > completeKeeps {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	part, err := os.CreateTemp(dir, "part-*")
	if err != nil {
		return
	}
	_, err = part.Write(b)
	if e := part.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(part.Name(), file)
	}
	if err != nil {
		_ = os.Remove(part.Name())
	}
}
