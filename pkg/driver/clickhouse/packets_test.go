package clickhouse

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// welcomed is a connection to a server that has said hello and then says more.
func welcomed(t *testing.T, more func(*proto.Buffer)) *nativeConn {
	t.Helper()
	var b proto.Buffer
	(&proto.ServerHello{Name: "ClickHouse", Major: 18, Minor: 16, Revision: 54412, Timezone: "UTC", DisplayName: "x"}).EncodeAware(&b, nativeRevision)
	more(&b)
	c := newNativeConn(scripted{bytes.NewReader(b.Buf)})
	if err := c.hello(t.Context(), "user", "password"); err != nil {
		t.Fatal(err)
	}
	return c
}

func putException(b *proto.Buffer, code int32, name, message, stack string, nested bool) {
	proto.ServerCodeException.Encode(b)
	b.PutInt32(code)
	b.PutString(name)
	b.PutString(message)
	b.PutString(stack)
	b.PutBool(nested)
}

func TestAnExceptionIsReadWithItsText(t *testing.T) {
	t.Parallel()
	const message = "DB::Exception: Table default.größe doesn't exist.\nSecond line"
	for what, read := range map[string]func(c *nativeConn) error{
		"ping": func(c *nativeConn) error { return c.ping(t.Context()) },
		"insert": func(c *nativeConn) error {
			return c.insert(t.Context(), "INSERT", nil, newBlock(&layout{kind: layoutArrays}))
		},
	} {
		err := read(welcomed(t, func(b *proto.Buffer) {
			putException(b, 60, "DB::Exception", message, strings.Repeat("0x1234 frame\n", 1000), false)
		}))
		var e *clickhouse.Exception
		if !errors.As(err, &e) || e.Code != 60 || e.Name != "DB::Exception" || e.Message != message {
			t.Errorf("%s: got %+v (%v), want code 60 and %q", what, e, err, message)
		}
	}
}

// What an exception was caused by follows it; the first says why.
func TestTheFirstOfNestedExceptionsCounts(t *testing.T) {
	t.Parallel()
	err := welcomed(t, func(b *proto.Buffer) {
		putException(b, 252, "DB::Exception", "Too many parts", "", true)
		putException(b, 1000, "std::exception", "the cause", "", false)
	}).ping(t.Context())
	var e *clickhouse.Exception
	if !errors.As(err, &e) || e.Code != 252 || e.Message != "Too many parts" {
		t.Errorf("got %v", err)
	}
}

func TestAnExceptionThatIsCutOffOrTooLongIsNone(t *testing.T) {
	t.Parallel()
	var whole proto.Buffer
	putException(&whole, 60, "DB::Exception", "it is gone", "stack", false)
	for n := range len(whole.Buf) {
		err := welcomed(t, func(b *proto.Buffer) { b.PutRaw(whole.Buf[:n]) }).ping(t.Context())
		if err == nil || exceptionCode(err) != 0 {
			t.Errorf("cut off after %d bytes: %v", n, err)
		}
	}
	err := welcomed(t, func(b *proto.Buffer) {
		proto.ServerCodeException.Encode(b)
		b.PutInt32(60)
		b.PutUVarInt(maxText + 1)
	}).ping(t.Context())
	if err == nil || exceptionCode(err) != 0 || !strings.Contains(err.Error(), "none of its texts") {
		t.Errorf("a text longer than any: %v", err)
	}
}
