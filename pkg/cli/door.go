package cli

import (
	"context"
	"strings"
)

// A Door is where a verb on data works: a namespace, and of the data API what
// the verb calls.
type Door[C any] struct {
	Client    func(context.Context) (C, error)
	Namespace func() (string, error)
}

// OpenDoor makes the door of a verb; model names its default namespace.
func OpenDoor[C any](f *Factory, model string, client func(context.Context) (C, error)) Door[C] {
	return Door[C]{Client: client, Namespace: func() (string, error) { return f.Namespace(model) }}
}

// Enter gives both, the namespace first: a context that is wrong is told before
// a gateway is looked for.
func (d Door[C]) Enter(ctx context.Context) (c C, ns string, err error) {
	if ns, err = d.Namespace(); err != nil {
		return c, "", err
	}
	c, err = d.Client(ctx)
	return c, ns, err
}

// Next is a command to type next, about what is in a namespace; model names the
// one that need not be said.
func Next(model, ns string, words ...string) string {
	for i, w := range words {
		words[i] = Quote(w)
	}
	if ns != model {
		words = append(words, "-n", Quote(ns))
	}
	return "prismctl " + strings.Join(words, " ")
}
