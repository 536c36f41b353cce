package clickhouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// nativeInserts sends blocks over connections of its own, which know of the
// native protocol what an INSERT takes. The upper library copies a column value by
// value, and the lower one, whose columns these are, does not speak to 18.
type nativeInserts struct {
	s    *store
	tls  *tls.Config
	idle chan *nativeConn
}

func (i *nativeInserts) insert(ctx context.Context, statement string, b *block) error {
	c, err := i.take(ctx)
	if err != nil {
		return err // nothing was sent
	}
	if err = c.insert(ctx, statement, i.s.insertSettings(b), b); err != nil && (exceptionCode(err) == 0 || !c.clean) {
		_ = c.conn.Close()
		return lostUnlessRefused(err)
	}
	select {
	case i.idle <- c:
	default:
		_ = c.conn.Close()
	}
	return err
}

// take is a connection that was idle, or a fresh one.
func (i *nativeInserts) take(ctx context.Context) (*nativeConn, error) {
	for {
		select {
		case c := <-i.idle:
			// One that the server has closed meanwhile is found out before a block
			// is trusted to it.
			if c.ping(ctx) == nil {
				return c, nil
			}
			_ = c.conn.Close()
		default:
			return i.dial(ctx)
		}
	}
}

// dial connects to the first server that answers. The password is read again,
// so that a changed one needs no restart.
func (i *nativeInserts) dial(ctx context.Context) (*nativeConn, error) {
	o := &i.s.options
	password, err := driver.ReadPassword(o.PasswordFile)
	if err != nil {
		return nil, driver.UnusableOption(i.s.name, "password_file", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	for _, addr := range o.Addrs {
		var conn net.Conn
		if i.tls != nil {
			conn, err = (&tls.Dialer{Config: i.tls}).DialContext(ctx, "tcp", addr)
		} else {
			conn, err = new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
		if err != nil {
			continue
		}
		c := newNativeConn(conn)
		if err = c.hello(ctx, o.Username, password); err == nil {
			return c, nil
		}
		_ = conn.Close()
		if exceptionCode(err) != 0 {
			return nil, err
		}
	}
	return nil, unreached(err)
}

func (i *nativeInserts) close() {
	for {
		select {
		case c := <-i.idle:
			_ = c.conn.Close()
		default:
			return
		}
	}
}

// A nativeConn is a connection that inserts, pings, and nothing else.
type nativeConn struct {
	conn net.Conn
	r    *proto.Reader
	w    *proto.Writer
	// revision is of the protocol, what both sides know.
	revision int
	// clean is true between statements.
	clean bool
}

// Revisions of the protocol: the one that this code speaks, and since when
// there is what it does differently before.
const (
	nativeRevision  = 54440
	settingsAsWords = 54429
)

const clientName = "prism"

func newNativeConn(conn net.Conn) *nativeConn {
	return &nativeConn{conn: conn, r: proto.NewReader(conn), w: proto.NewWriter(conn, new(proto.Buffer)), clean: true}
}

// within runs f until the context ends, however f waits.
func (c *nativeConn) within(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	err := f()
	if !stop() {
		c.clean = false
		return errors.Join(ctx.Err(), err)
	}
	return err
}

func (c *nativeConn) hello(ctx context.Context, user, password string) error {
	return c.within(ctx, func() error {
		c.w.ChainBuffer(func(b *proto.Buffer) {
			proto.ClientHello{Name: clientName, Major: 1, ProtocolVersion: nativeRevision, User: user, Password: password}.Encode(b)
		})
		if _, err := c.w.Flush(); err != nil {
			return err
		}
		code, err := c.packet()
		if err != nil {
			return err
		}
		if code != proto.ServerCodeHello {
			return errUnexpected(code)
		}
		c.revision, err = c.welcome()
		return err
	})
}

func (c *nativeConn) ping(ctx context.Context) error {
	return c.within(ctx, func() error {
		c.w.ChainBuffer(proto.ClientCodePing.Encode)
		if _, err := c.w.Flush(); err != nil {
			return err
		}
		code, err := c.packet()
		if err == nil && code != proto.ServerCodePong {
			err = errUnexpected(code)
		}
		return err
	})
}

// insert sends a statement, its block, and waits for the answer.
func (c *nativeConn) insert(ctx context.Context, statement string, settings []setting, b *block) error {
	return c.within(ctx, func() error {
		c.clean = false
		c.query(statement+" FORMAT Native", settings)
		if _, err := c.w.Flush(); err != nil {
			return err
		}
		if _, err := c.until(proto.ServerCodeData); err != nil {
			return err
		}
		columns := b.columns()
		c.data()
		if err := (proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Columns: len(columns), Rows: b.rows()}).WriteBlock(c.w, c.revision, columns); err != nil {
			return err
		}
		c.empty()
		if _, err := c.w.Flush(); err != nil {
			return err
		}
		if _, err := c.until(proto.ServerCodeEndOfStream); err != nil {
			return err
		}
		c.clean = true
		return nil
	})
}

// query writes a statement. Settings that a server takes only as numbers are
// those whose values are.
func (c *nativeConn) query(statement string, settings []setting) {
	c.w.ChainBuffer(func(b *proto.Buffer) {
		proto.ClientCodeQuery.Encode(b)
		b.PutString("") // no id
		proto.ClientInfo{
			ProtocolVersion: nativeRevision, Major: 1, Interface: proto.InterfaceTCP, Query: proto.ClientQueryInitial,
			InitialAddress: "0.0.0.0:0", ClientName: clientName,
		}.EncodeAware(b, c.revision)
		for _, s := range settings {
			if c.revision >= settingsAsWords {
				proto.Setting{Key: s.name, Value: s.value}.Encode(b)
			} else if n, err := strconv.ParseUint(s.value, 10, 64); err == nil {
				b.PutString(s.name)
				b.PutUVarInt(n)
			}
		}
		b.PutString("") // end of settings
		proto.StageComplete.Encode(b)
		proto.CompressionDisabled.Encode(b)
		b.PutString(statement)
	})
	c.empty() // no tables of the client's
}

// data begins a block.
func (c *nativeConn) data() {
	c.w.ChainBuffer(func(b *proto.Buffer) {
		proto.ClientCodeData.Encode(b)
		b.PutString("") // no table of the client's
	})
}

// empty writes a block without columns, which ends a series of them.
func (c *nativeConn) empty() {
	c.data()
	c.w.ChainBuffer(func(b *proto.Buffer) { proto.Block{}.EncodeAware(b, c.revision) })
}

// until reads packets up to one of a kind; those in between only tell how far the
// server is.
func (c *nativeConn) until(want proto.ServerCode) (proto.ServerCode, error) {
	for {
		code, err := c.packet()
		if err != nil {
			return code, err
		}
		switch code {
		case proto.ServerCodeData, proto.ServerCodeLog:
			err = c.skipBlock()
		case proto.ServerCodeProgress:
			err = new(proto.Progress).DecodeAware(c.r, c.revision)
		case proto.ServerCodeProfile:
			err = new(proto.Profile).DecodeAware(c.r, c.revision)
		case proto.ServerCodeTableColumns:
			err = c.texts(2) // the table's name, and what its columns are
		case proto.ServerCodeEndOfStream:
		default:
			err = errUnexpected(code)
		}
		if err != nil || code == want {
			return code, err
		}
		if code == proto.ServerCodeEndOfStream {
			return code, errUnexpected(code)
		}
	}
}

// packet reads the code of the next one; an exception is an error.
func (c *nativeConn) packet() (proto.ServerCode, error) {
	n, err := c.r.UVarInt()
	code := proto.ServerCode(n)
	switch {
	case err != nil:
		return 0, err
	case n > uint64(proto.ServerCodeSSHChallenge):
		return 0, errUnexpected(code)
	case code != proto.ServerCodeException:
		return code, nil
	}
	return 0, c.exception()
}

func errUnexpected(code proto.ServerCode) error {
	return fmt.Errorf("the server sent a packet of kind %d, which does not belong there", byte(code))
}
