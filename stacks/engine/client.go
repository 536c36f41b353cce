package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A client runs prism-compose for each question.
type client struct{ program string }

var _ Engine = client{}

func (c client) Program() string { return c.program }

func (c client) Info(ctx context.Context) (Info, error) {
	var info Info
	err := c.ask(ctx, "info", request{}, func(a answer) {
		if a.Info != nil {
			info = *a.Info
		}
	})
	return info, err
}

func (c client) Check(ctx context.Context, p Project) error {
	return c.ask(ctx, "check", p.request(), func(answer) {})
}

func (c client) List(ctx context.Context, project string) ([]Thing, error) {
	return c.things(ctx, "list", request{Project: project})
}

func (c client) Remove(ctx context.Context, project, stack string, volumes bool) ([]Thing, error) {
	return c.things(ctx, "remove", request{Project: project, Stack: stack, Volumes: volumes})
}

func (c client) things(ctx context.Context, verb string, r request) ([]Thing, error) {
	var all []Thing
	err := c.ask(ctx, verb, r, func(a answer) {
		if a.Thing != nil {
			all = append(all, *a.Thing)
		}
	})
	return all, err
}

func (c client) Image(ctx context.Context, ref string) (Image, error) {
	image := Image{Ref: ref}
	err := c.ask(ctx, "image", request{Ref: ref}, func(a answer) {
		if a.Image != nil {
			image = *a.Image
		}
	})
	return image, err
}

func (c client) Pull(ctx context.Context, ref string, note func(string)) error {
	return c.ask(ctx, "pull", request{Ref: ref}, func(a answer) {
		if a.Note != "" && note != nil {
			note(a.Note)
		}
	})
}

const (
	maxAnswer = 1 << 20         // bytes of a line
	maxWords  = 2 << 10         // of its standard error that an error quotes
	killTime  = 2 * time.Second // for its end, once it is told to
)

// ask runs the program: r on its standard input, each of its lines to take. When
// ctx ends the program is killed.
func (c client) ask(ctx context.Context, verb string, r request, take func(answer)) error {
	in, err := json.Marshal(r)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, c.program, verb)
	cmd.WaitDelay = killTime
	var words bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &words
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return c.broken(verb, err, nil)
	}
	failed, err := answers(bufio.NewScanner(out), take)
	if err != nil {
		_ = cmd.Process.Kill() // it may write for ever
	}
	end := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed != nil:
		return failed.error()
	case err != nil:
		return c.broken(verb, err, words.Bytes())
	case end != nil:
		return c.broken(verb, end, words.Bytes())
	}
	return nil
}

func answers(lines *bufio.Scanner, take func(answer)) (*failure, error) {
	var failed *failure
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return failed, err
		}
		if a.Error != nil {
			failed = a.Error
			continue
		}
		take(a)
	}
	return failed, lines.Err()
}

func (c client) broken(verb string, err error, words []byte) error {
	if len(words) > maxWords {
		words = words[len(words)-maxWords:]
	}
	text := strings.TrimSpace(string(words))
	if text != "" {
		text = ": " + text
	}
	return prism.New(prism.ReasonUnavailable, "%s %s failed: %v%s", c.program, verb, err, text).
		WithMeta("kind", "compose_failed").
		WithMeta("fix", "run tools/compose.sh of the source again: it may be older than prismctl")
}
