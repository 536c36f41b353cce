// Package probe asks servers whether they work: our own question, not their
// word for it.
package probe

import "context"

// A Question is asked of one server.
type Question struct {
	Kind    string
	Addr    string // host:port, or the path of a Unix socket
	Options map[string]string
}

// Ask asks. The error says what was answered.
func (q Question) Ask(ctx context.Context) error { panic("soon") }

// String is the question for people: "PING on 127.0.0.1:6379".
func (q Question) String() string { panic("soon") }
