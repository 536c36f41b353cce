package clickhouse

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// A scripted connection gives what a fuzzer made and takes what comes.
type scripted struct{ io.Reader }

func (scripted) Write(b []byte) (int, error)      { return len(b), nil }
func (scripted) Close() error                     { return nil }
func (scripted) LocalAddr() net.Addr              { return nil }
func (scripted) RemoteAddr() net.Addr             { return nil }
func (scripted) SetDeadline(time.Time) error      { return nil }
func (scripted) SetReadDeadline(time.Time) error  { return nil }
func (scripted) SetWriteDeadline(time.Time) error { return nil }

// FuzzServerPackets has a server answer anything: a block is acked only by an end
// of the stream after the columns of a table.
func FuzzServerPackets(f *testing.F) {
	var hello proto.Buffer
	(&proto.ServerHello{Name: "ClickHouse", Major: 18, Minor: 16, Revision: 54412, Timezone: "UTC", DisplayName: "x"}).EncodeAware(&hello, nativeRevision)
	f.Add(append(bytes.Clone(hello.Buf), 1, 0, 0, 0, 5))
	f.Add(append(bytes.Clone(hello.Buf), 2, 60, 0, 0, 0, 1, 'n', 1, 'm', 0, 0))
	f.Add([]byte{2, 0x04, 2, 0, 0, 1, 'n', 1, 'm', 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := newNativeConn(scripted{bytes.NewReader(answer)})
		if err := c.hello(t.Context(), "user", "password"); err != nil {
			return
		}
		b := newBlock(&layout{kind: layoutArrays})
		if err := c.insert(t.Context(), "INSERT", nil, b); err == nil && !c.clean {
			t.Error("a block was acked on a connection that is not clean")
		}
	})
}
