package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// F19: deadlines of a millisecond to five seconds on every kind of call, and
// callers that leave at random. A write has happened entirely or not at all.
func TestFault_F19_DeadlinesAndCancels(t *testing.T) {
	calls, sizes := 1000, 50<<10
	if powercut.Full() {
		calls, sizes = 10_000, 200<<10
	}
	seed := seedOf(t)
	report := powercut.Begin("F19", seed)
	g := harness.Start(t, harness.Options{File: harness.Small})
	var mu sync.Mutex
	ended := map[codes.Code]int{}
	const workers = 8
	var wg sync.WaitGroup
	for w := range workers {
		f := &faulted{t: t, kv: g.KeyValue(t), random: rand.New(rand.NewPCG(seed, uint64(w))), key: fmt.Sprintf("key-%d", w), size: sizes}
		wg.Go(func() {
			for range calls / workers {
				err := f.one()
				mu.Lock()
				ended[harness.Read(err).Code()]++
				mu.Unlock()
			}
			f.settle()
		})
	}
	wg.Wait()
	report.Rounds = calls
	for code, n := range ended {
		report.More[code.String()] = n
		switch code {
		case codes.OK, codes.DeadlineExceeded, codes.Canceled, codes.NotFound:
		default:
			t.Errorf("%d calls ended with %s", n, code)
		}
	}
	report.Acked = int64(ended[codes.OK])
	report.Print()
	if ended[codes.OK] == 0 || ended[codes.DeadlineExceeded]+ended[codes.Canceled] == 0 {
		t.Errorf("nothing was tried: %v", ended)
	}
}

// A faulted is a caller with keys of its own: what each may hold is known.
type faulted struct {
	t      *testing.T
	kv     kvv1.KeyValueServiceClient
	random *rand.Rand
	key    string
	size   int
	n      int
}

// impatient is a context that ends soon, one way or the other.
func (f *faulted) impatient() (context.Context, context.CancelFunc) {
	d := time.Duration(1+f.random.IntN(20)) * time.Millisecond
	if f.random.IntN(10) == 0 {
		d = time.Duration(f.random.Int64N(int64(5 * time.Second)))
	}
	if f.random.IntN(2) == 0 {
		return context.WithTimeout(context.Background(), max(d, time.Millisecond))
	}
	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(d/2, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

func (f *faulted) value() []byte {
	f.n++
	return bytes.Repeat([]byte(fmt.Sprintf("%010d", f.n)), f.size/10)
}

// whole reports whether a value is one that was written, all of it.
func (f *faulted) whole(what string, v []byte) {
	if len(v) < 10 || len(v)%10 != 0 || !bytes.Equal(v, bytes.Repeat(v[:10], len(v)/10)) || len(v) != f.size/10*10 {
		f.t.Errorf("%s holds a part of a write: %d bytes from %.20q", what, len(v), v)
	}
}

func (f *faulted) one() error {
	ctx, cancel := f.impatient()
	defer cancel()
	switch f.random.IntN(8) {
	case 0, 1:
		_, err := f.kv.Set(ctx, &kvv1.SetRequest{Namespace: "disk", Key: f.key, Value: f.value()})
		return err
	case 2:
		r, err := f.kv.Get(ctx, &kvv1.GetRequest{Namespace: "disk", Key: f.key})
		if err == nil {
			f.whole("a read", r.Value)
		}
		return err
	case 3:
		_, err := f.kv.Append(ctx, &kvv1.AppendRequest{Namespace: "disk", Key: f.key + "-log", Value: []byte("0123456789")})
		return err
	case 4:
		_, err := f.kv.BatchSet(ctx, &kvv1.BatchSetRequest{Namespace: "disk", Items: []*kvv1.SetRequest{
			{Key: f.key, Value: f.value()}, {Key: f.key + "-b", Value: f.value()},
		}})
		return err
	case 5:
		_, err := f.kv.Scan(ctx, &kvv1.ScanRequest{Namespace: "disk", Prefix: f.key})
		return err
	case 6:
		return f.transfer(ctx)
	}
	st, err := f.kv.Pipeline(ctx)
	if err != nil {
		return err
	}
	for _, r := range []*kvv1.PipelineRequest{
		{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{Namespace: "disk"}}},
		{Message: &kvv1.PipelineRequest_Frame{Frame: &kvv1.PipelineFrame{Id: 1, Ops: []*kvv1.PipelineOp{
			{Op: &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{Key: f.key, Value: f.value()}}},
			{Op: &kvv1.PipelineOp_Append{Append: &kvv1.AppendRequest{Key: f.key + "-log", Value: []byte("0123456789")}}},
		}}}},
	} {
		_ = st.Send(r)
	}
	for range 2 {
		if _, err := st.Recv(); err != nil {
			return err
		}
	}
	return nil
}

// transfer writes one value under two keys in a transaction.
func (f *faulted) transfer(ctx context.Context) error {
	st, err := f.kv.Transaction(ctx)
	if err != nil {
		return err
	}
	f.n++
	v := []byte(fmt.Sprint(f.n))
	for _, r := range []*kvv1.TransactionRequest{
		{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: "disk"}}},
		{Step: &kvv1.TransactionRequest_Set{Set: &kvv1.TransactionSet{Key: f.key + "-left", Value: v}}},
		{Step: &kvv1.TransactionRequest_Set{Set: &kvv1.TransactionSet{Key: f.key + "-right", Value: v}}},
		{Step: &kvv1.TransactionRequest_Commit{Commit: &kvv1.TransactionCommit{}}},
	} {
		_ = st.Send(r)
		if _, err := st.Recv(); err != nil {
			return err
		}
	}
	return nil
}

// settle looks at what is left.
func (f *faulted) settle() {
	get := func(key string) []byte {
		r, err := f.kv.Get(context.Background(), &kvv1.GetRequest{Namespace: "disk", Key: key})
		if err != nil && harness.Read(err).Code() != codes.NotFound {
			f.t.Errorf("%s: %v", key, err)
		}
		return r.GetValue()
	}
	for _, k := range []string{f.key, f.key + "-b"} {
		if v := get(k); v != nil {
			f.whole(k, v)
		}
	}
	if v := get(f.key + "-log"); len(v)%10 != 0 {
		f.t.Errorf("an append happened in part: %d bytes", len(v))
	}
	// A commit whose caller has gone may land between the two reads; one that
	// happened in part stays so.
	l, r := get(f.key+"-left"), get(f.key+"-right")
	for end := time.Now().Add(5 * time.Second); !bytes.Equal(l, r) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		l, r = get(f.key+"-left"), get(f.key+"-right")
	}
	if !bytes.Equal(l, r) {
		f.t.Errorf("a transaction happened in part: %q and %q", l, r)
	}
}
