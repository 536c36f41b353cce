package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
)

// rich is an error with everything that can travel.
func rich(r prism.Reason) *prism.Error {
	e := prism.New(r, "set key %q", "k").
		WithField("items[3].key", "must not be empty").WithField("limit", "must not be negative").
		WithQuota("namespace:orders", "5 requests a second").
		WithNamespace("orders").WithBackend("local").
		WithMeta("current_version", "7").WithMeta("limit", "5")
	e.RequestID, e.TraceID = "req-1", "0af7651916cd43dd8448eb211c80319c"
	if e.Retryable() {
		e.WithRetryAfter(1500 * time.Millisecond)
	}
	return e.WithCause(prism.New(prism.ReasonDiskFull, "write the log").WithBackend("local").
		WithCause(prism.New(prism.ReasonInternal, "sync")))
}

func TestEveryReasonComesBackThroughAStatusAndThroughAnItem(t *testing.T) {
	t.Parallel()
	for _, i := range prism.Infos() {
		want := rich(i.Reason)
		code := wire.Code(i.Reason)
		if (code == codes.Internal) != (i.Status == "INTERNAL") || code == codes.OK || code == codes.Unknown {
			t.Errorf("%s with status %s has code %s", i.Reason, i.Status, code)
		}
		st := wire.ToStatus(want)
		if st.Code() != code {
			t.Errorf("%s: status %s, want %s", i.Reason, st.Code(), code)
		}
		if got := wire.FromStatus(st.Err()); !reflect.DeepEqual(got, want) {
			t.Errorf("%s through a status:\n got %+v\nwant %+v", i.Reason, got, want)
		}
		if got := wire.FromItem(wire.ToItem(want)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s through an item:\n got %+v\nwant %+v", i.Reason, got, want)
		}
	}
}

// details are the standard messages of a status, by their type.
func details(t *testing.T, st *status.Status) (info *errdetails.ErrorInfo, bad *errdetails.BadRequest, retry *errdetails.RetryInfo, quota *errdetails.QuotaFailure, req *errdetails.RequestInfo) {
	t.Helper()
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.BadRequest:
			bad = d
		case *errdetails.RetryInfo:
			retry = d
		case *errdetails.QuotaFailure:
			quota = d
		case *errdetails.RequestInfo:
			req = d
		case *commonv1.Error, *commonv1.Resume:
		default:
			t.Errorf("unexpected detail %T", d)
		}
	}
	return info, bad, retry, quota, req
}

// A client that knows only google.rpc's details reads all of it.
func TestStandardDetailsSayTheSame(t *testing.T) {
	t.Parallel()
	e := rich(prism.ReasonRateLimited).WithMeta("code", "mine")
	info, bad, retry, quota, req := details(t, wire.ToStatus(e))
	wantInfo := &errdetails.ErrorInfo{Reason: "RATE_LIMITED", Domain: wire.Domain, Metadata: map[string]string{
		"code": "PRISM-42901", "namespace": "orders", "backend": "local", "current_version": "7", "limit": "5",
	}}
	if !proto.Equal(info, wantInfo) {
		t.Errorf("ErrorInfo: got %v, want %v", info, wantInfo)
	}
	if len(bad.GetFieldViolations()) != 2 || bad.FieldViolations[1].Field != "limit" || bad.FieldViolations[1].Description != "must not be negative" {
		t.Errorf("BadRequest: got %v", bad)
	}
	if got := retry.GetRetryDelay().AsDuration(); got != 1500*time.Millisecond {
		t.Errorf("RetryInfo: got %s", got)
	}
	if v := quota.GetViolations(); len(v) != 1 || v[0].Subject != "namespace:orders" || v[0].Description != "5 requests a second" {
		t.Errorf("QuotaFailure: got %v", quota)
	}
	if req.GetRequestId() != "req-1" || req.GetServingData() != e.TraceID {
		t.Errorf("RequestInfo: got %v", req)
	}
}

func TestDetailsThatDoNotApplyAreNotThere(t *testing.T) {
	t.Parallel()
	info, bad, retry, quota, req := details(t, wire.ToStatus(prism.NotFound("key", "k")))
	if info.GetReason() != "NOT_FOUND" || bad != nil || retry != nil || quota != nil || req != nil {
		t.Errorf("got %v %v %v %v %v", info, bad, retry, quota, req)
	}
}

// What an operator sees in a log must not reach the peer: addresses, paths,
// tokens in causes of other packages.
func TestAttack_A37_CausesOfOthersStayHere(t *testing.T) {
	t.Parallel()
	const canary = "CANARY-7f3a9c"
	secret := func() error {
		return fmt.Errorf("dial tcp 10.0.0.7:6379: AUTH %s: %w", canary, io.ErrUnexpectedEOF)
	}
	for _, i := range prism.Infos() {
		for name, err := range map[string]error{
			"alone":                secret(),
			"under an error":       prism.New(i.Reason, "read key %q", "k").WithCause(secret()),
			"between two":          prism.New(i.Reason, "read").WithCause(fmt.Errorf("%s: %w", canary, prism.New(prism.ReasonDiskFull, "write").WithCause(secret()))),
			"around one":           fmt.Errorf("%s: %w", canary, prism.New(i.Reason, "read")),
			"around a reason":      fmt.Errorf("%s: %w", canary, i.Reason),
			"around a context's":   fmt.Errorf("%s: %w", canary, context.DeadlineExceeded),
			"internal":             prism.Internal(secret()),
			"joined":               errors.Join(secret(), prism.New(i.Reason, "read")),
			"cause of a bare text": prism.From(errors.New(canary)),
		} {
			st := wire.ToStatus(err)
			raw, mErr := proto.Marshal(st.Proto())
			if mErr != nil {
				t.Fatal(mErr)
			}
			item, mErr := proto.Marshal(wire.ToItem(prism.From(err)))
			if mErr != nil {
				t.Fatal(mErr)
			}
			back := wire.FromStatus(st.Err())
			if s := string(raw) + string(item) + back.Error() + fmt.Sprintf("%+v", st); strings.Contains(s, canary) || strings.Contains(s, "10.0.0.7") {
				t.Errorf("%s, %s: the secret went out: %q", i.Reason, name, s)
			}
		}
	}
}

func TestCausesOfOursTravelNearestFirstAndFive(t *testing.T) {
	t.Parallel()
	err := prism.New(prism.ReasonDiskFull, "cause 7")
	for n := 6; n >= 0; n-- {
		err = prism.New(prism.ReasonUnavailable, "cause %d", n).WithCause(fmt.Errorf("hidden: %w", err))
	}
	var got []string
	for e := error(wire.FromStatus(wire.ToStatus(err).Err())); e != nil; e = errors.Unwrap(e) {
		got = append(got, e.(*prism.Error).Message)
	}
	want := []string{"cause 0", "cause 1", "cause 2", "cause 3", "cause 4", "cause 5"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// bounded checks the promises that hold for every error.
func bounded(t interface{ Errorf(string, ...any) }, e *prism.Error, position string) {
	st := wire.ToStatusResume(e, position)
	size := 0
	for _, d := range st.Proto().GetDetails() {
		size += proto.Size(d)
	}
	if size >= 4<<10 {
		t.Errorf("details take %d bytes", size)
	}
	if m := st.Message(); len(m) > 200 || !utf8.ValidString(m) {
		t.Errorf("message of %d bytes: %q", len(m), m)
	}
	raw, err := proto.Marshal(st.Proto())
	if err != nil {
		t.Errorf("the status cannot be sent: %v", err)
	}
	if len(st.Details()) < 2 {
		t.Errorf("only %d details", len(st.Details()))
	}
	for _, d := range st.Details() {
		if err, bad := d.(error); bad {
			t.Errorf("a detail cannot be read: %v in %d bytes", err, len(raw))
		}
	}
	item := wire.ToItem(e)
	if n := proto.Size(item); n >= 3<<10 {
		t.Errorf("an item takes %d bytes", n)
	}
	if back := wire.FromStatus(st.Err()); wire.Code(back.Reason) != st.Code() || back.Message != st.Message() {
		t.Errorf("came back as %s %q", back.Reason, back.Message)
	}
}

func TestDetailsStayBelow4KiBWhateverTheError(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", strings.Repeat("x", 5000), strings.Repeat("\xff", 5000), strings.Repeat("💥", 2000), strings.Repeat("a\x00", 300)}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 400), func(b []byte) string { return string(b) }),
	)
	reason := rapid.OneOf(
		rapid.SampledFrom(prism.Infos()).AsAny(), rapid.Just(any("FROM_\xffTHE_FUTURE")),
	)
	rapid.Check(t, func(t *rapid.T) {
		var e *prism.Error
		for range rapid.IntRange(1, 8).Draw(t, "depth") {
			r := prism.Reason("FROM_\xffTHE_FUTURE")
			if i, ok := reason.Draw(t, "reason").(prism.Info); ok {
				r = i.Reason
			}
			next := prism.New(r, "%s", text.Draw(t, "message")).WithBackend(text.Draw(t, "backend"))
			if e != nil {
				next.WithCause(e)
			}
			e = next
		}
		for range rapid.IntRange(0, 30).Draw(t, "fields") {
			e.WithField(text.Draw(t, "field"), text.Draw(t, "violation"))
		}
		for range rapid.IntRange(0, 20).Draw(t, "meta") {
			e.WithMeta(text.Draw(t, "name"), text.Draw(t, "value"))
		}
		if rapid.Bool().Draw(t, "quota") {
			e.WithQuota(text.Draw(t, "subject"), text.Draw(t, "quota"))
		}
		e.WithNamespace(prism.Namespace(text.Draw(t, "namespace"))).
			WithRetryAfter(time.Duration(rapid.Int64().Draw(t, "retry")))
		e.RequestID, e.TraceID = text.Draw(t, "request"), text.Draw(t, "trace")
		bounded(t, e, strings.Repeat("p", rapid.IntRange(0, 200).Draw(t, "position")))
	})
}

// The largest that can be made of every part at once.
func TestTheWorstErrorFits(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "\xff", "💥", "\x00", "é"} {
		long := strings.Repeat(unit, 10_000)
		var e *prism.Error
		for range 10 {
			next := prism.New(prism.ReasonRateLimited, "%s", long).WithBackend(long)
			if e != nil {
				next.WithCause(e)
			}
			e = next
		}
		for n := range 100 {
			e.WithField(fmt.Sprint(n)+long, long).WithMeta(fmt.Sprint(n)+long, long)
		}
		e.WithQuota(long, long).WithNamespace(prism.Namespace(long)).WithRetryAfter(1<<63 - 1)
		e.RequestID, e.TraceID = long, long
		bounded(t, e, strings.Repeat("p", 200))
	}
}

// Of a request with some wrong fields, and of a refusal that lists what is
// there, nothing is lost.
func TestUsualErrorsAreNotTrimmed(t *testing.T) {
	t.Parallel()
	e := prism.New(prism.ReasonInvalidArgument, "items[0].key must not be empty")
	for i := range 10 {
		e.WithField(fmt.Sprintf("items[%d].key", i), "must be at most 1024 bytes")
	}
	if got := wire.FromStatus(wire.ToStatus(e).Err()); len(got.Fields) != 10 {
		t.Errorf("%d of 10 fields came back", len(got.Fields))
	}
	list := strings.Repeat("keyvalue_transactional,", 15)
	m := prism.New(prism.ReasonCapabilityMissing, "x").WithMeta("capabilities", list).WithMeta("missing", "keyvalue_ttl")
	if got := wire.FromStatus(wire.ToStatus(m).Err()).Meta["capabilities"]; got != list {
		t.Errorf("the list of capabilities came back as %q", got)
	}
	if got := wire.FromItem(wire.ToItem(m)).Meta["capabilities"]; got != list {
		t.Errorf("the list of capabilities came back as %q", got)
	}
}

func TestAMessageIsCutAtABoundaryOf200Bytes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{strings.Repeat("x", 200), strings.Repeat("x", 200)},
		{strings.Repeat("x", 201), strings.Repeat("x", 197) + "…"},
		{strings.Repeat("x", 196) + "éé…", strings.Repeat("x", 196) + "…"},
		{"a\xffb", "a\ufffdb"},
	} {
		if got := wire.ToStatus(prism.New(prism.ReasonInternal, "%s", c.in)).Message(); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

// The same error makes the same bytes: metadata over the bound is not chosen
// by chance.
func TestTrimmingIsDeterministic(t *testing.T) {
	t.Parallel()
	e := prism.New(prism.ReasonInternal, "x")
	for i := range 50 {
		e.WithMeta(fmt.Sprintf("m%02d", i), "v")
	}
	first := wire.ToItem(e)
	for range 20 {
		if again := wire.ToItem(e); !proto.Equal(first, again) {
			t.Fatalf("got %v, then %v", first, again)
		}
	}
	if first.Metadata["m00"] != "v" || len(first.Metadata) != 8 {
		t.Errorf("kept %v", first.Metadata)
	}
}

func TestAnUnknownReasonKeepsTheClassOfItsStatus(t *testing.T) {
	t.Parallel()
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		st, err := status.New(c, "from a newer gateway").WithDetails(&commonv1.Error{
			Reason: "FROM_THE_FUTURE", Code: "PRISM-99901", Status: int32(c), Message: "from a newer gateway",
		})
		if err != nil {
			t.Fatal(err)
		}
		want := c
		if c == codes.Unknown {
			want = codes.Internal
		}
		got := wire.FromStatus(st.Err())
		if wire.Code(got.Reason) != want || got.Message != "from a newer gateway" {
			t.Errorf("%s came back as %s %q", c, got.Reason, got.Message)
		}
		bare := wire.FromStatus(status.Error(c, "from a proxy"))
		if wire.Code(bare.Reason) != want || bare.Message != "from a proxy" {
			t.Errorf("%s without details came back as %s %q", c, bare.Reason, bare.Message)
		}
	}
	if got := wire.ToItem(prism.New("FROM_THE_FUTURE", "x")); got.Reason != "INTERNAL" || got.Status != int32(codes.Internal) {
		t.Errorf("an unknown reason of our own goes out as %v", got)
	}
}

func TestTheEndOfAStreamSaysWhereToGoOn(t *testing.T) {
	t.Parallel()
	end := prism.New(prism.ReasonDraining, "the gateway is about to stop")
	e, resume := wire.FromStream(wire.ToStatusResume(end, "pos-1").Err())
	if e == nil || e.Reason != prism.ReasonDraining || resume.GetPosition() != "pos-1" || resume.GetRetryAfterMs() != 50 {
		t.Errorf("got %v, %v", e, resume)
	}
	if e, resume := wire.FromStream(wire.ToStatus(end).Err()); e.Reason != prism.ReasonDraining || resume != nil {
		t.Errorf("without a position: %v, %v", e, resume)
	}
	if e, resume := wire.FromStream(nil); e != nil || resume != nil {
		t.Errorf("nil became %v, %v", e, resume)
	}
}

func TestErrorsThatAreNoStatus(t *testing.T) {
	t.Parallel()
	own := prism.NotFound("key", "k")
	for _, c := range []struct {
		err    error
		reason prism.Reason
	}{
		{fmt.Errorf("get: %w", own), prism.ReasonNotFound},
		{context.Canceled, prism.ReasonCancelled},
		{fmt.Errorf("call: %w", context.DeadlineExceeded), prism.ReasonDeadlineExceeded},
		{io.ErrUnexpectedEOF, prism.ReasonUnavailable},
	} {
		if got := wire.FromStatus(c.err); got.Reason != c.reason {
			t.Errorf("%v became %s, want %s", c.err, got.Reason, c.reason)
		}
	}
	if got := wire.FromStatus(nil); got != nil {
		t.Errorf("nil became %v", got)
	}
	if st := wire.ToStatus(nil); st.Code() != codes.OK {
		t.Errorf("ToStatus(nil) is %v", st)
	}
}
