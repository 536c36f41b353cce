package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// The control protocol: a client connects, writes one request as a line of
// JSON, and reads lines of JSON until the end. A Beat comes every second, so
// that a client can tell a long answer from a supervisor that hangs.
const (
	protocolVersion = 1
	beatEvery       = time.Second
	maxRequestBytes = 64 << 10
)

// A request asks one thing.
type request struct {
	V    int      `json:"v"`
	Op   string   `json:"op"` // status, logs, restart, repair, stop, events
	Name string   `json:"name,omitempty"`
	Kill bool     `json:"kill,omitempty"` // stop: at once
	Logs LogQuery `json:"logs,omitzero"`
}

// A reply is a line of the answer; one of the fields is set.
type reply struct {
	Beat   bool       `json:"beat,omitempty"`
	Status *Status    `json:"status,omitempty"`
	Event  *Event     `json:"event,omitempty"`
	Line   *Line      `json:"line,omitempty"`
	Names  []string   `json:"names,omitempty"`
	Done   bool       `json:"done,omitempty"` // the last line of an answer without error
	Error  *wireError `json:"error,omitempty"`
}

// A wireError carries a prism.Error over the socket.
type wireError struct {
	Reason  prism.Reason      `json:"reason"`
	Message string            `json:"message"`
	Meta    map[string]string `json:"meta,omitempty"`
}

type controlServer struct {
	sup  *Supervisor
	path string
	l    *net.UnixListener
	wg   sync.WaitGroup
}

// listenControl opens the control socket: 0600, in a folder of ours that is
// closed to others, and answering only to our own user.
func listenControl(s *Supervisor) (*controlServer, error) {
	path := s.opts.Socket
	if len(path) > maxSocketPath {
		return nil, prism.New(prism.ReasonInvalidConfig, "the control socket's path is %d bytes long, the system takes %d: %s", len(path), maxSocketPath, path)
	}
	switch fi, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case fi.Mode()&fs.ModeSymlink != 0:
		return nil, planted(path, "is a symbolic link")
	case fi.Mode()&fs.ModeSocket == 0:
		return nil, planted(path, "is not a socket")
	case !isOurs(fi):
		return nil, planted(path, "belongs to another user")
	default:
		// We have the lock, so its owner is dead.
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	// bind does not follow a link that appears here meanwhile: it fails.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	c := &controlServer{sup: s, path: path, l: l}
	go c.accept()
	return c, nil
}

// stopListening removes the socket; answers that are under way go on.
func (c *controlServer) stopListening() { c.l.Close() }

// wait gives the answers under way a moment to be read.
func (c *controlServer) wait() {
	done := make(chan struct{})
	go func() { c.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
	}
}

func (c *controlServer) accept() {
	for {
		conn, err := c.l.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of descriptors: it will pass
			continue
		}
		c.wg.Go(func() {
			defer conn.Close()
			c.serve(conn)
		})
	}
}

// serve answers one request.
func (c *controlServer) serve(conn *net.UnixConn) {
	out := &replies{conn: conn, enc: json.NewEncoder(conn)}
	if err := checkPeer(conn); err != nil {
		out.send(reply{Error: toWire(err)})
		return
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	in := bufio.NewReaderSize(conn, maxRequestBytes)
	line, err := in.ReadSlice('\n')
	if err != nil {
		out.send(reply{Error: toWire(prism.New(prism.ReasonInvalidArgument, "no request of at most %d bytes came", maxRequestBytes))})
		return
	}
	var req request
	if err := json.Unmarshal(line, &req); err != nil || req.V != protocolVersion {
		out.send(reply{Error: toWire(prism.New(prism.ReasonInvalidArgument, "the request is not of protocol version %d; is this prismctl as old as the supervisor?", protocolVersion))})
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn.SetReadDeadline(time.Time{})
	go func() { // the client went away
		in.ReadByte()
		cancel()
	}()
	go out.beat(ctx)
	if err := c.answer(ctx, req, out); err != nil {
		out.send(reply{Error: toWire(err)})
		return
	}
	out.send(reply{Done: true})
}

func (c *controlServer) answer(ctx context.Context, req request, out *replies) error {
	s := c.sup
	switch req.Op {
	case "status":
		st := s.Status()
		return out.send(reply{Status: &st})
	case "logs":
		return s.Logs(ctx, req.Logs, func(l Line) error { return out.send(reply{Line: &l}) })
	case "restart":
		return s.Restart(ctx, req.Name)
	case "repair":
		return out.send(reply{Names: s.Repair()})
	case "events":
		events := s.Events(ctx)
		st := s.Status()
		if err := out.send(reply{Status: &st}); err != nil {
			return err
		}
		return forward(events, out)
	case "stop":
		events := s.Events(ctx)
		if req.Kill {
			s.Kill()
		} else {
			s.Stop()
		}
		if err := forward(events, out); err != nil {
			return err
		}
		select {
		case <-s.done: // the lock is free: `down && up` works
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return prism.New(prism.ReasonUnimplemented, "the supervisor has no operation %q", req.Op)
}

func forward(events <-chan Event, out *replies) error {
	for e := range events {
		if err := out.send(reply{Event: &e}); err != nil {
			return err
		}
	}
	return nil
}

// replies writes lines to one client.
type replies struct {
	mu   sync.Mutex
	conn *net.UnixConn
	enc  *json.Encoder
}

func (r *replies) send(v reply) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A client that does not read is not waited for.
	r.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	return r.enc.Encode(v)
}

func (r *replies) beat(ctx context.Context) {
	t := time.NewTicker(beatEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if r.send(reply{Beat: true}) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func toWire(err error) *wireError {
	e := prism.From(err)
	msg := e.Error()
	return &wireError{Reason: e.Reason, Message: msg, Meta: e.Meta}
}

func (w *wireError) err() error {
	e := prism.New(w.Reason, "%s", w.Message)
	e.Meta = w.Meta
	return e
}

// checkPeer refuses other users. The mode of the socket does so too; this
// holds when somebody widened it.
func checkPeer(conn *net.UnixConn) error {
	uid, known, err := peerUID(conn)
	if err != nil {
		return fmt.Errorf("ask who calls: %w", err)
	}
	if known && uid != os.Geteuid() && uid != 0 {
		return prism.New(prism.ReasonPermissionDenied, "the supervisor belongs to another user")
	}
	return nil
}
