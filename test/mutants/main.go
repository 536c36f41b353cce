// Mutants breaks lines of docs/interface.md one at a time and shows that their
// tests are red:
//
//	go run ./test/mutants -seed 6 -n 20            draw twenty by a seed
//	go run ./test/mutants -line 30                 break one
//	go run ./test/mutants -seed 6 -write docs/interface.md
//
// A mutation is a text for another text in one file. It is compiled from a
// temporary copy (go test -overlay): the tree is never touched.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(errs)
	seed := flags.Uint64("seed", 1, "draw by this `seed`")
	n := flags.Int("n", 20, "how `many` lines to break")
	line := flags.Int("line", 0, "break only this `line` of Commands")
	page := flags.String("write", "", "write the table into this `file`, between its marks")
	each := flags.Duration("timeout", 10*time.Minute, "of one test")
	if flags.Parse(args) != nil {
		return 2
	}
	drawn := draw(*seed, *n)
	if *line != 0 {
		drawn = slices.DeleteFunc(mutations(), func(m mutation) bool { return m.Line != *line })
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var rows strings.Builder
	survived := 0
	for _, m := range drawn {
		verdict, err := m.try(ctx, ".", *each)
		if err != nil {
			fmt.Fprintln(errs, "mutants:", err)
			return 1
		}
		if verdict != red {
			survived++
		}
		row := fmt.Sprintf("| %d | `%s`: `%s` for `%s` | `%s.%s` | %s |\n", m.Line, m.File, cell(m.New), cell(m.Old), m.Package, m.Test, verdict)
		fmt.Fprint(out, row)
		rows.WriteString(row)
	}
	if *page != "" {
		text := fmt.Sprintf("`go run ./test/mutants -seed %d -n %d`: %d of %d red.\n\n| line | broken by | test | |\n|---|---|---|---|\n%s", *seed, *n, len(drawn)-survived, len(drawn), rows.String())
		if err := write(*page, text); err != nil {
			fmt.Fprintln(errs, "mutants:", err)
			return 1
		}
	}
	if survived > 0 {
		fmt.Fprintf(errs, "mutants: %d of %d were not seen\n", survived, len(drawn))
		return 1
	}
	return 0
}

// draw picks n mutations of different lines; the same for the same seed.
func draw(seed uint64, n int) (drawn []mutation) {
	all := mutations()
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	seen := map[int]bool{}
	for _, m := range all {
		if len(drawn) < n && !seen[m.Line] {
			seen[m.Line] = true
			drawn = append(drawn, m)
		}
	}
	slices.SortFunc(drawn, func(a, b mutation) int { return a.Line - b.Line })
	return drawn
}

// What became of a mutant.
const (
	red      = "red"
	survived = "NOT SEEN"
	broken   = "DOES NOT COMPILE"
)

// try runs the test of a mutation with the file broken.
func (m mutation) try(ctx context.Context, root string, limit time.Duration) (verdict string, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "prism-mutant-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	text, err := m.applied(root)
	if err != nil {
		return "", err
	}
	copied, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, m.File): copied}})
	if err != nil {
		return "", err
	}
	for file, b := range map[string][]byte{copied: []byte(text), overlay: replace} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	test := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-count=1", "-timeout", "5m", "-run", "^"+m.Test+"$", "./"+m.Package)
	test.Dir, test.WaitDelay = root, time.Second
	said, err := test.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("line %d: no end within %s", m.Line, limit)
	case err == nil:
		return survived, nil
	case strings.Contains(string(said), "[build failed]") || strings.Contains(string(said), "[setup failed]"):
		return broken, nil
	case strings.Contains(string(said), "--- FAIL: "+m.Test) || strings.Contains(string(said), "panic: "):
		return red, nil
	}
	return "", fmt.Errorf("line %d: %w\n%s", m.Line, err, said)
}

// applied is the file with the mutation.
func (m mutation) applied(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, m.File))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(b), m.Old); n != 1 {
		return "", fmt.Errorf("line %d: %s has the text %d times, want once: %s", m.Line, m.File, n, m.Old)
	}
	return strings.Replace(string(b), m.Old, m.New, 1), nil
}

const begin, end = "<!-- mutants -->\n", "<!-- /mutants -->\n"

// write puts text between the marks of a page.
func write(path, text string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(b), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no marks", path)
	}
	return os.WriteFile(path, []byte(before+begin+text+end+after), 0o644)
}

// cell is a text as a cell of a table can hold it.
func cell(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.ReplaceAll(strings.ReplaceAll(s, "`", "'"), "|", "\\|")
}
