package clickhouse

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// The packets of a server, as far as an INSERT meets them. The library's own
// readers make room for whatever length a server names before it has sent it;
// these believe no more than maxText.

// maxText bounds a text of a server: a message with its stack is some kilobytes.
// maxColumns bounds the columns of a table.
const (
	maxText    = 1 << 20
	maxColumns = 10_000
)

// Since these revisions a hello tells more.
const (
	tellsTimezone = 54058
	tellsName     = 54372
	tellsPatch    = 54401
)

func (c *nativeConn) text() (string, error) {
	n, err := c.r.UVarInt()
	if err != nil {
		return "", err
	}
	if n > maxText {
		return "", fmt.Errorf("the server sent a text of %d bytes, which none of its texts has", n)
	}
	b := make([]byte, n)
	err = c.r.ReadFull(b)
	return string(b), err
}

// texts skips as many.
func (c *nativeConn) texts(n int) error {
	for range n {
		if _, err := c.text(); err != nil {
			return err
		}
	}
	return nil
}

// numbers skips as many.
func (c *nativeConn) numbers(n int) error {
	for range n {
		if _, err := c.r.UVarInt(); err != nil {
			return err
		}
	}
	return nil
}

// welcome reads the server's hello, and answers its revision.
func (c *nativeConn) welcome() (revision int, err error) {
	if err := c.texts(1); err != nil { // its name
		return 0, err
	}
	if err := c.numbers(2); err != nil { // its version
		return 0, err
	}
	n, err := c.r.UVarInt()
	if err != nil {
		return 0, err
	}
	revision = int(min(n, nativeRevision))
	if revision >= tellsTimezone {
		err = c.texts(1)
	}
	if err == nil && revision >= tellsName {
		err = c.texts(1)
	}
	if err == nil && revision >= tellsPatch {
		err = c.numbers(1)
	}
	return revision, err
}

// exception reads why the server refuses; what it was caused by does not count.
func (c *nativeConn) exception() error {
	code, err := c.r.Int32()
	if err != nil {
		return err
	}
	name, err := c.text()
	if err != nil {
		return err
	}
	message, err := c.text()
	if err != nil {
		return err
	}
	if err := c.texts(1); err != nil { // its stack
		return err
	}
	if _, err := c.r.Bool(); err != nil {
		return err
	}
	return &clickhouse.Exception{Code: code, Name: name, Message: message}
}

// skipBlock reads a block without rows: which columns a table has.
func (c *nativeConn) skipBlock() error {
	if err := c.texts(1); err != nil { // the table's name
		return err
	}
	var info proto.BlockInfo
	if err := info.Decode(c.r); err != nil {
		return err
	}
	columns, err := c.r.UVarInt()
	if err != nil {
		return err
	}
	rows, err := c.r.UVarInt()
	if err != nil {
		return err
	}
	if columns > maxColumns || rows > 0 {
		return fmt.Errorf("the server sent a block of %d columns and %d rows, which does not belong there", columns, rows)
	}
	return c.texts(2 * int(columns)) // names and types
}
