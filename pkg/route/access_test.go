package route_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/session"
	"github.com/prism-data-layer/prism/pkg/wire"
)

func TestWildcardsStandForARunOfCharactersInAName(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{"service:checkout", []string{"service:checkout"}, []string{"service:checkout2", "service:Checkout", "service:checkou", "user:checkout", "service:checkout."}},
		{"service:checkout.*", []string{"service:checkout.eu", "service:checkout.eu.west", "service:checkout."}, []string{"service:checkout", "service:checkouts.eu", "user:checkout.eu", "service:my.checkout.eu"}},
		{"user:*", []string{"user:ann", "user:bob@shop.example"}, []string{"service:ann", "team:user", "group:ann"}},
		{"service:*.eu", []string{"service:checkout.eu", "service:.eu"}, []string{"service:eu", "service:checkout.eu.evil", "service:checkout.EU"}},
		{"service:a*b*c", []string{"service:abc", "service:axbyc", "service:aabbcc"}, []string{"service:acb", "service:ab", "service:bc", "service:xabc", "service:abcx"}},
		{"service:a*a", []string{"service:aa", "service:axa"}, []string{"service:a", "service:ab"}},
		{"service:a*ab*b", []string{"service:aabb"}, []string{"service:ab", "service:aab"}},
		{"service:**", []string{"service:x"}, []string{"user:x"}},
		{"user:*@shop.example", []string{"user:ann@shop.example"}, []string{"user:ann@shop.example.evil", "user:ann@xshop.example"}},
		// The kind is never a matter of wildcards.
		{"*", nil, []string{"user:ann", "service:x"}},
		{"*:ann", nil, []string{"user:ann", "service:ann"}},
		{"us*r:ann", nil, []string{"user:ann"}},
		{"u*", nil, []string{"user:ann"}},
		{"**:*", nil, []string{"user:ann"}},
		{"", nil, []string{"user:ann"}},
		{":", nil, []string{"user:ann"}},
		{"user", nil, []string{"user:user", "user:ann"}},
		{"user:", nil, []string{"user:ann"}},
	} {
		r.apply(ns("kv", granted(c.pattern, "read")), ns("own", owned(c.pattern)))
		for want, names := range map[bool][]string{true: c.yes, false: c.no} {
			for _, name := range names {
				s := r.as(name)
				if got := r.may(s, "kv", prism.ActionRead); got != want {
					t.Errorf("%q granted to %s: %v, want %v", c.pattern, name, got, want)
				}
				if got := r.may(s, "own", prism.ActionWrite); got != want {
					t.Errorf("%q owned by %s: %v, want %v", c.pattern, name, got, want)
				}
			}
		}
	}
}

func TestWhatIsNotGrantedIsDenied(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	r.apply(
		ns("nobodys", control.Access{}),
		ns("owned", owned("team:shop")),
		ns("read", granted("service:checkout", "read")),
		ns("write", granted("service:checkout", "write")),
		ns("both", granted("service:checkout", "read", "write")),
		ns("odd", granted("service:checkout", "admin", "*", "READ", "")),
		ns("two", control.Access{Consumers: []control.Grant{
			{Principal: "service:*", Permissions: []string{"read"}},
			{Principal: "service:checkout", Permissions: []string{"write"}},
		}}),
	)
	service, team, dev := r.as("service:checkout"), r.as("team:shop"), r.as(auth.Dev)
	admin, operator, viewer := r.as("user:root", auth.RoleAdmin), r.as("user:ops", auth.RoleOperator), r.as("user:eye", auth.RoleViewer)
	for _, c := range []struct {
		name     string
		s        session.Session
		readable string // namespaces
		writable string
	}{
		{"service", service, "read both two", "write both two"},
		{"team", team, "owned", "owned"},
		{"dev", dev, "nobodys owned read write both odd two", "nobodys owned read write both odd two"},
		{"admin", admin, "nobodys owned read write both odd two", "nobodys owned read write both odd two"},
		{"operator", operator, "", ""},
		{"viewer", viewer, "", ""},
	} {
		for _, name := range []string{"nobodys", "owned", "read", "write", "both", "odd", "two"} {
			has := func(list string) bool {
				for _, n := range strings.Fields(list) {
					if n == name {
						return true
					}
				}
				return false
			}
			if got := r.may(c.s, name, prism.ActionRead); got != has(c.readable) {
				t.Errorf("%s reads %s: %v", c.name, name, got)
			}
			if got := r.may(c.s, name, prism.ActionWrite); got != has(c.writable) {
				t.Errorf("%s writes %s: %v", c.name, name, got)
			}
			// Data has no other actions: an unmapped method is denied.
			for _, a := range []prism.Action{prism.ActionNone, prism.ActionAdminRead, prism.ActionAdminWrite, 200} {
				if r.may(c.s, name, a) {
					t.Errorf("%s may %s with %s", c.name, a, name)
				}
			}
		}
	}
}

func TestAStreamIsAskedAgainForWhatItCarries(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	r.apply(ns("kv", granted("service:checkout", "read")))
	target := r.hold(r.as("service:checkout"), "kv", prism.ActionRead)
	defer target.Release()
	if err := target.May(prism.ActionRead); err != nil {
		t.Error(err)
	}
	if e := prism.From(target.May(prism.ActionWrite)); e == nil || e.Reason != prism.ReasonPermissionDenied {
		t.Errorf("writing: %v", e)
	}
}

// answer is every byte that a caller gets.
func answer(t *testing.T, err error) string {
	t.Helper()
	raw, mErr := proto.MarshalOptions{Deterministic: true}.Marshal(wire.ToStatus(err).Proto())
	if mErr != nil {
		t.Fatal(mErr)
	}
	return string(raw)
}

// Nobody learns from a refusal whether a namespace is there.
func TestAttack_A24_ForbiddenAndAbsentNamespacesLookTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	secretly := []control.Namespace{
		ns("b", owned("team:b")), ns("b-orders", owned("team:b")), ns("empty", control.Access{}),
		ns("read-only", granted("service:a", "read")), ns("exhausted", owned("team:b")), ns("queue", owned("team:b")),
	}
	secretly[4].Limits = control.Limits{RequestRPS: 1, Burst: 1}
	secretly[5].Model = "queue"
	r.apply(append(secretly, ns("a", owned("service:a")))...)
	owner := r.as("team:b")
	for range 2 {
		if target, err := r.resolve(owner, "exhausted", prism.ActionRead); err == nil {
			target.Release()
		}
	}
	a := r.as("service:a")
	narrowed := r.narrowed(r.principal("service:a"), "a")
	want := ""
	for _, name := range []string{
		"b", "b-orders", "empty", "exhausted", "queue", // there
		"b2", "nothing", "z", "b-", "a-", "zz9", strings.Repeat("n", 63), // not there
	} {
		for _, action := range []prism.Action{prism.ActionRead, prism.ActionWrite, prism.ActionNone, prism.ActionAdminWrite} {
			for i, s := range []session.Session{a, narrowed, {}} {
				target, err := r.resolve(s, name, action)
				if err == nil {
					t.Fatalf("session %d may %s on %s", i, action, name)
				}
				if _, kvErr := target.KeyValue(); answer(t, kvErr) != answer(t, err) {
					t.Errorf("the refused target of %s answers %v", name, kvErr)
				}
				got := answer(t, err)
				if want == "" {
					want = got
				}
				if got != want || strings.Contains(got, name) && len(name) > 3 {
					t.Errorf("%s on %s, session %d: %v: another answer than for the rest", action, name, i, err)
				}
			}
		}
	}
	if _, err := r.resolve(a, "read-only", prism.ActionWrite); answer(t, err) != want {
		t.Errorf("a right too few: %v", err)
	}
	if e := prism.From(denial(t, r, a)); e.Reason != prism.ReasonPermissionDenied || e.Namespace != "" || len(e.Meta) != 0 {
		t.Errorf("the refusal tells more than it should: %+v", e)
	}
}

func denial(t *testing.T, r *rig, s session.Session) error {
	t.Helper()
	_, err := r.resolve(s, "b", prism.ActionRead)
	return err
}

func TestOnlyWhoMayListNamespacesLearnsThatOneIsNotThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	r.apply(ns("kv", owned("user:ann")))
	for name, c := range map[string]struct {
		s    session.Session
		want prism.Reason
	}{
		"dev":                      {r.as(auth.Dev), prism.ReasonNotFound},
		"admin":                    {r.as("user:root", auth.RoleAdmin), prism.ReasonNotFound},
		"operator":                 {r.as("user:ops", auth.RoleOperator), prism.ReasonNotFound},
		"viewer":                   {r.as("user:eye", auth.RoleViewer), prism.ReasonNotFound},
		"an owner of another":      {r.as("user:ann"), prism.ReasonPermissionDenied},
		"a service":                {r.as("service:x"), prism.ReasonPermissionDenied},
		"nobody":                   {session.Session{}, prism.ReasonPermissionDenied},
		"an admin, narrowed":       {r.narrowed(r.principal("user:root2", auth.RoleAdmin), "kv"), prism.ReasonPermissionDenied},
		"an admin, narrowed to it": {r.narrowed(r.principal("user:root3", auth.RoleAdmin), "gone"), prism.ReasonNotFound},
	} {
		_, err := r.resolve(c.s, "gone", prism.ActionRead)
		e := prism.From(err)
		if e == nil || e.Reason != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
			continue
		}
		if c.want == prism.ReasonNotFound && (e.Message != `namespace "gone" not found` || e.Namespace != "gone") {
			t.Errorf("%s: says %q of %q", name, e.Message, e.Namespace)
		}
	}
}

// There is one spelling of a name, and no other is looked up, whatever it would
// become after folding, decoding or cleaning.
func TestAttack_A25_NamesHaveOneForm(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	r.apply(ns("a", owned("user:ann")), ns("b", owned("user:ann")), ns("cafe", owned("user:ann")))
	for _, s := range []session.Session{r.as("user:ann"), r.as(auth.Dev), r.as("user:eve"), r.narrowed(r.principal("user:ann"), "a"), {}} {
		want := ""
		for _, name := range []string{
			"a/../b", "a%2fb", "A", "a\x00b", "a\x00", "caf\u00e9", "cafe\u0301", "\u0430", "", strings.Repeat("a", 4096), strings.Repeat("a", 64),
			".", "..", "__system", " a", "a ", "a\n", "\ufeffa", "\u202ea", "a.", "/a", "a/", "-a", "0a", "{a}", "a*", "*", "\xff", "a:b",
		} {
			_, err := r.resolve(s, name, prism.ActionRead)
			e := prism.From(err)
			if e == nil || e.Reason != prism.ReasonInvalidArgument || len(e.Fields) != 1 || e.Fields[0].Field != "namespace" {
				t.Errorf("%.20q: got %v, want INVALID_ARGUMENT on namespace", name, err)
				continue
			}
			if got := answer(t, err); want == "" {
				want = got
			} else if got != want {
				t.Errorf("%.20q has an answer of its own: %v", name, err)
			}
		}
	}
}

func TestASessionNarrowsAndNeverWidens(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	r.apply(ns("a", owned("user:ann")), ns("b", owned("user:ann")), ns("c", owned("user:bob")))
	for name, want := range map[string]bool{"a": true, "b": false, "c": false} {
		if got := r.may(r.narrowed(r.principal("user:ann"), "a", "c"), name, prism.ActionWrite); got != want {
			t.Errorf("narrowed to a and c, %s: %v", name, got)
		}
	}
	for name, want := range map[string]bool{"a": true, "b": true, "c": false} {
		if got := r.may(r.narrowed(r.principal("user:ann")), name, prism.ActionWrite); got != want {
			t.Errorf("not narrowed, %s: %v", name, got)
		}
	}
}

// A target that Resolve did not make proves nothing.
func TestTheZeroTargetIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	var z route.Target
	_, kvErr := z.KeyValue()
	for what, err := range map[string]error{"KeyValue": kvErr, "May": z.May(prism.ActionRead), "Take": z.Take(start, 1), "Err": z.Err()} {
		if e := prism.From(err); e == nil || e.Reason != prism.ReasonPermissionDenied {
			t.Errorf("%s: %v", what, err)
		}
	}
	if z.Namespace() != "" || z.Done() != nil {
		t.Errorf("it is %q", z.Namespace())
	}
	z.Release()
	r := newRig(t, clock.Real())
	r.apply(ns("kv", owned("user:ann")))
	if _, err := r.Resolve(context.Background(), session.Session{}, "kv", prism.ActionRead, 1); prism.From(err).Reason != prism.ReasonPermissionDenied {
		t.Errorf("without a session: %v", err)
	}
}
