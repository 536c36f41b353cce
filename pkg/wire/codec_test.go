package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the stock codec
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// samples are messages of both kinds, small and too large for no pool.
func samples() []proto.Message {
	large := bytes.Repeat([]byte("\x00\xffv"), prism.MaxValueBytes/3)
	return []proto.Message{
		&keyvaluev1.GetRequest{},
		&keyvaluev1.GetRequest{Namespace: "kv", Key: "a\x00b"},
		&keyvaluev1.SetRequest{Namespace: "kv", Key: "k", Value: []byte("v"), TtlMs: proto.Int64(5), IfVersion: proto.Uint64(7)},
		&keyvaluev1.SetRequest{Namespace: "kv", Key: strings.Repeat("k", 1024), Value: large},
		&keyvaluev1.BatchGetRequest{Namespace: "kv", Keys: []string{"", "a", "b"}},
		&keyvaluev1.PipelineRequest{Message: &keyvaluev1.PipelineRequest_Frame{Frame: &keyvaluev1.PipelineFrame{Id: 9, Ops: []*keyvaluev1.PipelineOp{
			{Op: &keyvaluev1.PipelineOp_Get{Get: &keyvaluev1.GetRequest{Key: "k"}}, RetryId: []byte{1, 2}},
			{Op: &keyvaluev1.PipelineOp_Set{Set: &keyvaluev1.SetRequest{Key: "k", Value: large[:5000]}}},
		}}}},
		wrapperspb.String("not ours"),
		wrapperspb.Bytes(large),
		&wrapperspb.StringValue{},
	}
}

func TestWhatOneSideWritesTheOtherReads(t *testing.T) {
	t.Parallel()
	ours, stock := wire.Codec(), encoding.GetCodecV2("proto")
	if ours.Name() != stock.Name() {
		t.Errorf("named %q", ours.Name())
	}
	for _, m := range samples() {
		for name, pair := range map[string][2]encoding.CodecV2{"ours to ours": {ours, ours}, "ours to stock": {ours, stock}, "stock to ours": {stock, ours}} {
			data, err := pair[0].Marshal(m)
			if err != nil {
				t.Fatalf("%s %T: %v", name, m, err)
			}
			if data.Len() != proto.Size(m) {
				t.Errorf("%s %T: %d bytes, want %d", name, m, data.Len(), proto.Size(m))
			}
			got := m.ProtoReflect().New().Interface()
			if err := pair[1].Unmarshal(data, got); err != nil {
				t.Fatalf("%s %T: %v", name, m, err)
			}
			data.Free()
			if !proto.Equal(got, m) {
				t.Errorf("%s: %T of %d bytes came back different", name, m, proto.Size(m))
			}
		}
	}
}

// A message that is used again holds nothing of what it held before.
func TestUnmarshalBeginsAnew(t *testing.T) {
	t.Parallel()
	c := wire.Codec()
	m := &keyvaluev1.BatchGetRequest{Namespace: "before", Keys: []string{"x", "y"}}
	data, err := c.Marshal(&keyvaluev1.BatchGetRequest{Keys: []string{"z"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
	if want := (&keyvaluev1.BatchGetRequest{Keys: []string{"z"}}); !proto.Equal(m, want) {
		t.Errorf("got %v, want %v", m, want)
	}
}

// poison overwrites what is given back to it, as another call would.
type poison struct{}

func (poison) Get(n int) *[]byte { b := make([]byte, n); return &b }

func (poison) Put(b *[]byte) {
	for i := range *b {
		(*b)[i] = 0xAA
	}
}

// What is decoded must outlive the buffer that it came in: the next message
// reuses it.
func TestNothingDecodedPointsIntoAPooledBuffer(t *testing.T) {
	t.Parallel()
	c := wire.Codec()
	for _, want := range samples() {
		raw, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		whole := append([]byte(nil), raw...)
		got := want.ProtoReflect().New().Interface()
		data := mem.BufferSlice{mem.NewBuffer(&whole, poison{})}
		if err := c.Unmarshal(data, got); err != nil {
			t.Fatal(err)
		}
		data.Free()
		if mem.IsBelowBufferPoolingThreshold(len(raw)) {
			poison{}.Put(&whole) // too small for mem to pool it
		}
		if len(whole) > 0 && whole[0] != 0xAA {
			t.Fatal("the buffer was not given back: the test proves nothing")
		}
		if !proto.Equal(got, want) {
			t.Errorf("%T of %d bytes changed with the buffer", want, len(raw))
		}
	}
}

// In parts, as large messages arrive: they are put together in a buffer of
// gRPC's own pool.
func TestMessagesInPartsAreCopiedOutOfThePool(t *testing.T) {
	c := wire.Codec()
	want := &keyvaluev1.SetRequest{Namespace: "kv", Key: strings.Repeat("k", 1000), Value: bytes.Repeat([]byte("v"), 30_000)}
	raw, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var data mem.BufferSlice
	for rest := raw; len(rest) > 0; {
		n := min(len(rest), 7000)
		data = append(data, mem.SliceBuffer(rest[:n]))
		rest = rest[n:]
	}
	got := &keyvaluev1.SetRequest{}
	if err := c.Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	pool := mem.DefaultBufferPool()
	for range 20 {
		b := pool.Get(len(raw))
		poison{}.Put(b)
		defer pool.Put(b)
	}
	if !proto.Equal(got, want) {
		t.Error("the message changed with the pool")
	}
}

func TestDamagedMessagesAreErrorsNotPanics(t *testing.T) {
	t.Parallel()
	c := wire.Codec()
	raw, err := proto.Marshal(samples()[5])
	if err != nil {
		t.Fatal(err)
	}
	raw = raw[:200]
	broken := 0
	for n := range raw {
		if c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(raw[:n])}, &keyvaluev1.PipelineRequest{}) != nil {
			broken++
		}
		flipped := append([]byte(nil), raw...)
		flipped[n] ^= 0x80
		c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(flipped)}, &keyvaluev1.PipelineRequest{}) //nolint:errcheck // only that it returns
	}
	if broken < len(raw)-1 {
		t.Errorf("%d of %d truncated messages are refused", broken, len(raw)-1)
	}
	if c.Unmarshal(mem.BufferSlice{mem.SliceBuffer("\xff")}, &wrapperspb.StringValue{}) == nil {
		t.Error("a damaged message that is not ours is taken")
	}
}

// stubborn is a message that cannot be written.
type stubborn struct{ size int }

var errStubborn = errors.New("no")

func (stubborn) Reset()                                     {}
func (s stubborn) SizeVT() int                              { return s.size }
func (stubborn) MarshalToSizedBufferVT([]byte) (int, error) { return 0, errStubborn }
func (stubborn) UnmarshalVT([]byte) error                   { return errStubborn }

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	t.Parallel()
	c := wire.Codec()
	if _, err := c.Marshal("text"); err == nil || !strings.Contains(err.Error(), "string") {
		t.Errorf("marshal: %v", err)
	}
	if err := c.Unmarshal(nil, new(int)); err == nil || !strings.Contains(err.Error(), "*int") {
		t.Errorf("unmarshal: %v", err)
	}
	if _, err := c.Marshal(wrapperspb.String("\xff")); err == nil {
		t.Error("a foreign message that is no UTF-8 was written")
	}
	for _, size := range []int{1, 100_000} {
		if _, err := c.Marshal(stubborn{size}); !errors.Is(err, errStubborn) {
			t.Errorf("marshal of %d bytes: %v", size, err)
		}
	}
	if err := c.Unmarshal(nil, stubborn{}); !errors.Is(err, errStubborn) {
		t.Errorf("unmarshal: %v", err)
	}
}

// echo answers what it was sent.
type echo struct {
	keyvaluev1.UnimplementedKeyValueServiceServer
}

func (echo) GetAndSet(_ context.Context, r *keyvaluev1.GetAndSetRequest) (*keyvaluev1.GetAndSetResponse, error) {
	return &keyvaluev1.GetAndSetResponse{Previous: append([]byte(r.Key), r.Value...), Version: uint64(len(r.Value))}, nil
}

func (echo) Get(_ context.Context, r *keyvaluev1.GetRequest) (*keyvaluev1.GetResponse, error) {
	return nil, wire.ToStatus(prism.NotFound("key", r.Key).WithNamespace("kv").WithMeta("m", "v")).Err()
}

// dial serves s and returns a client; nil options mean the stock codec.
func dial(t *testing.T, server []grpc.ServerOption, client []grpc.DialOption) keyvaluev1.KeyValueServiceClient {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	s := grpc.NewServer(server...)
	keyvaluev1.RegisterKeyValueServiceServer(s, echo{})
	go s.Serve(l) //nolint:errcheck // it ends with Stop
	t.Cleanup(s.Stop)
	conn, err := grpc.NewClient("passthrough:///buf", append(client,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return keyvaluev1.NewKeyValueServiceClient(conn)
}

func TestAnyClientAndAnyServerCanBeOnTheOtherSide(t *testing.T) {
	t.Parallel()
	server := []grpc.ServerOption{grpc.ForceServerCodecV2(wire.Codec())}
	client := []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec()))}
	for name, c := range map[string]keyvaluev1.KeyValueServiceClient{
		"both":        dial(t, server, client),
		"server only": dial(t, server, nil),
		"client only": dial(t, nil, client),
	} {
		var wg sync.WaitGroup
		for n := range 20 {
			wg.Go(func() {
				for i := range 10 {
					key := fmt.Sprintf("k-%d-%d", n, i)
					value := bytes.Repeat([]byte{byte(n), byte(i)}, (n*10+i)*100)
					got, err := c.GetAndSet(t.Context(), &keyvaluev1.GetAndSetRequest{Key: key, Value: value})
					if err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
					if !bytes.Equal(got.Previous, append([]byte(key), value...)) || got.Version != uint64(len(value)) {
						t.Errorf("%s: the answer to %s is another's", name, key)
					}
				}
			})
		}
		wg.Wait()
		_, err := c.Get(t.Context(), &keyvaluev1.GetRequest{Key: "k"})
		e := wire.FromStatus(err)
		if e.Reason != prism.ReasonNotFound || e.Message != `key "k" not found` || e.Namespace != "kv" || e.Meta["m"] != "v" {
			t.Errorf("%s: the error came as %+v", name, e)
		}
	}
}
