package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Client talks to a running supervisor. Each call has its own connection and
// its own bound on silence, so that a supervisor that hangs is said to hang.
type Client struct {
	path string

	// Silence is how long the supervisor may say nothing before it is said to
	// hang; it beats every second. 5 s.
	Silence time.Duration
}

// Dial checks that a supervisor listens on the socket at path. None there is
// UNAVAILABLE with kind not_running; a socket that is not ours is
// PERMISSION_DENIED.
func Dial(path string) (*Client, error) {
	c := &Client{path: path, Silence: 5 * time.Second}
	conn, err := c.connect()
	if err != nil {
		return nil, err
	}
	return c, conn.Close()
}

func notRunning(err error) error {
	return prism.New(prism.ReasonUnavailable, "no supervisor runs here").WithCause(err).WithMeta("kind", "not_running")
}

func (c *Client) connect() (*net.UnixConn, error) {
	fi, err := os.Lstat(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, notRunning(err)
	case errors.Is(err, fs.ErrPermission):
		return nil, prism.New(prism.ReasonPermissionDenied, "the control socket belongs to another user").WithCause(err)
	case err != nil:
		return nil, err
	case fi.Mode()&fs.ModeSymlink != 0:
		return nil, planted(c.path, "is a symbolic link")
	case !isOurs(fi) && os.Geteuid() != 0:
		return nil, planted(c.path, "belongs to another user")
	}
	conn, err := (&net.Dialer{Timeout: c.Silence}).Dial("unix", c.path)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
			return nil, notRunning(err)
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, prism.New(prism.ReasonPermissionDenied, "the control socket belongs to another user").WithCause(err)
		}
		return nil, prism.New(prism.ReasonUnavailable, "cannot reach the supervisor").WithCause(err)
	}
	u := conn.(*net.UnixConn)
	// The other way round too: not every server on that path is our supervisor.
	if uid, known, err := peerUID(u); err != nil || known && uid != os.Geteuid() && os.Geteuid() != 0 {
		u.Close()
		return nil, planted(c.path, "is served by another user")
	}
	return u, nil
}

// call sends req and gives each line of the answer to each.
func (c *Client) call(ctx context.Context, req request, each func(reply) error) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	req.V = protocolVersion
	line, err := json.Marshal(req)
	if err != nil {
		return err
	}
	conn.SetDeadline(time.Now().Add(c.Silence))
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return c.broken(ctx, err)
	}
	in := json.NewDecoder(bufio.NewReader(patient{conn, c.Silence}))
	for {
		var r reply
		if err := in.Decode(&r); err != nil {
			return c.broken(ctx, err)
		}
		switch {
		case r.Error != nil:
			return r.Error.err()
		case r.Done:
			return nil
		case r.Beat:
			continue
		}
		if err := each(r); err != nil {
			return err
		}
	}
}

// A patient reader hears nothing for at most silence. When we slept ourselves, the
// silence says nothing, and it listens on.
type patient struct {
	conn    net.Conn
	silence time.Duration
}

func (p patient) Read(b []byte) (int, error) {
	for {
		began := time.Now()
		p.conn.SetReadDeadline(began.Add(p.silence))
		n, err := p.conn.Read(b)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && time.Since(began) > p.silence+time.Second {
			continue
		}
		return n, err
	}
}

// broken says what a failed read means.
func (c *Client) broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return prism.From(ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return prism.New(prism.ReasonDeadlineExceeded, "the supervisor hangs: it took the call and said nothing for %s", c.Silence).WithMeta("kind", "hung")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return prism.New(prism.ReasonUnavailable, "the supervisor ended in the middle of its answer").WithMeta("kind", "gone")
	}
	return prism.New(prism.ReasonUnavailable, "talk to the supervisor").WithCause(err)
}

func ignore(reply) error { return nil }

// Status asks for the picture now.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var st Status
	err := c.call(ctx, request{Op: "status"}, func(r reply) error {
		if r.Status != nil {
			st = *r.Status
		}
		return nil
	})
	return st, err
}

// Logs calls each for every line that q asks for; with Follow it returns when
// ctx or the supervisor ends, or each fails.
func (c *Client) Logs(ctx context.Context, q LogQuery, each func(Line) error) error {
	return c.call(ctx, request{Op: "logs", Logs: q}, func(r reply) error {
		if r.Line == nil {
			return nil
		}
		return each(*r.Line)
	})
}

// Restart drains a service and starts it again; it returns when it is ready.
func (c *Client) Restart(ctx context.Context, name string) error {
	return c.call(ctx, request{Op: "restart", Name: name}, ignore)
}

// Repair starts again what crashed, is in a crash loop, or is a task that
// failed, and returns their names at once: see [Supervisor.Repair].
func (c *Client) Repair(ctx context.Context) (names []string, err error) {
	err = c.call(ctx, request{Op: "repair"}, func(r reply) error { names = r.Names; return nil })
	return names, err
}

// Events gives first the status and then every change, until ctx or the
// supervisor ends or a callback fails. Either callback may be nil.
func (c *Client) Events(ctx context.Context, status func(Status) error, each func(Event) error) error {
	return c.call(ctx, request{Op: "events"}, func(r reply) error {
		switch {
		case r.Status != nil && status != nil:
			return status(*r.Status)
		case r.Event != nil && each != nil:
			return each(*r.Event)
		}
		return nil
	})
}

// Stop ends the supervisor and returns when nothing of it is left: every
// service is gone, every port is free, and another supervisor may start. kill
// leaves no service the time to close clean. each, which may be nil, is told
// of progress.
func (c *Client) Stop(ctx context.Context, kill bool, each func(Event)) error {
	return c.call(ctx, request{Op: "stop", Kill: kill}, func(r reply) error {
		if r.Event != nil && each != nil {
			each(*r.Event)
		}
		return nil
	})
}
