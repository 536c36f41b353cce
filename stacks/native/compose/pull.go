package main

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/command"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
)

func image(ctx context.Context, e *engine, r Request, say func(Answer)) error {
	got, err := e.api.ImageInspect(ctx, r.Ref)
	switch {
	case errdefs.IsNotFound(err):
		say(Answer{Image: &Image{Ref: r.Ref}})
		return nil
	case err != nil:
		return err
	}
	say(Answer{Image: &Image{Ref: r.Ref, Present: true, ID: got.ID, Size: got.Size}})
	return nil
}

func pull(ctx context.Context, e *engine, r Request, say func(Answer)) error {
	return e.pull(ctx, r.Ref, func(text string) { say(Answer{Note: text}) })
}

// have pulls the image if it is not there.
func (e *engine) have(ctx context.Context, ref string, note func(string)) error {
	_, err := e.api.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return e.pull(ctx, ref, note)
	}
	return err
}

func (e *engine) pull(ctx context.Context, ref string, note func(string)) error {
	failed := func(err error) error {
		return fail(kindImage, "the image %s cannot be pulled: %v", ref, err).fix("docker pull %s, or name another image for the stack in .prism.yaml", ref)
	}
	note("pulls " + ref)
	// Without credentials it is asked for as anybody may.
	auth, _ := command.RetrieveAuthTokenFromImage(e.cli.ConfigFile(), ref)
	answer, err := e.api.ImagePull(ctx, ref, client.ImagePullOptions{RegistryAuth: auth})
	if err != nil {
		if e.ask(ctx) != nil {
			return err // the engine has gone
		}
		return failed(err)
	}
	defer func() { _ = answer.Close() }()
	p := progress{layers: map[string][2]int64{}}
	for m, err := range answer.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		if m.Error != nil {
			return failed(m.Error)
		}
		if p.add(m) {
			note(fmt.Sprintf("pulls %s (%s)", ref, p.text()))
		}
	}
	return nil
}

// progress adds up what the layers of an image say.
type progress struct {
	layers map[string][2]int64 // bytes that are here, and all
	said   time.Time
}

const progressEvery = 500 * time.Millisecond

// add reports whether it is time to say something.
func (p *progress) add(m jsonstream.Message) bool {
	switch {
	case m.Status == "Downloading" && m.Progress != nil:
		p.layers[m.ID] = [2]int64{m.Progress.Current, max(m.Progress.Total, m.Progress.Current)}
	case m.Status == "Download complete", m.Status == "Pull complete":
		l := p.layers[m.ID]
		p.layers[m.ID] = [2]int64{l[1], l[1]}
	default:
		return false
	}
	if now := time.Now(); now.Sub(p.said) >= progressEvery {
		p.said = now
		return true
	}
	return false
}

func (p *progress) text() string {
	var here, all int64
	for _, l := range p.layers {
		here, all = here+l[0], all+l[1]
	}
	return fmt.Sprintf("%d of %d MB", (here+999_999)/1_000_000, (all+999_999)/1_000_000)
}
