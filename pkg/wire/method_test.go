package wire_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	optionsv1 "github.com/prism-data-layer/prism/proto/prism/options/v1"
)

// unmarked says what is missing from a method's options.
func unmarked(m *wire.Method) (problems []string) {
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if m.Self == (m.Action != prism.ActionNone) {
		say("want one permission")
	}
	if m.Idempotency == optionsv1.Idempotency_IDEMPOTENCY_UNSPECIFIED {
		say("want an idempotency")
	}
	data := m.Action == prism.ActionRead || m.Action == prism.ActionWrite
	known := slices.ContainsFunc(driver.Capabilities(), func(c driver.Capability) bool { return c.Name == m.Capability })
	switch {
	case data && !known:
		say("%q is no capability", m.Capability)
	case !data && m.Capability != "":
		say("is not about data, and asks for %q", m.Capability)
	}
	return problems
}

func TestEveryMethodSaysWhatItNeeds(t *testing.T) {
	t.Parallel()
	methods := wire.Methods()
	if len(methods) < 40 {
		t.Fatalf("only %d methods", len(methods))
	}
	for name, m := range methods {
		if name != m.FullName || name != "/"+m.Service+"/"+m.Name {
			t.Errorf("%s is under %s", m.FullName, name)
		}
		if p := unmarked(m); p != nil {
			t.Errorf("%s: %v", name, p)
		}
	}
}

// The check can fail: a method without options is refused by each rule.
func TestAMethodWithoutOptionsIsNoticed(t *testing.T) {
	t.Parallel()
	if p := unmarked(&wire.Method{}); len(p) != 2 {
		t.Errorf("no options: %v", p)
	}
	if p := unmarked(&wire.Method{Action: prism.ActionRead, Idempotency: optionsv1.Idempotency_IDEMPOTENCY_READ, Capability: "keyvalue_magic"}); len(p) != 1 {
		t.Errorf("unknown capability: %v", p)
	}
	if p := unmarked(&wire.Method{Self: true, Idempotency: optionsv1.Idempotency_IDEMPOTENCY_READ, Capability: "keyvalue_ttl"}); len(p) != 1 {
		t.Errorf("capability without data: %v", p)
	}
}

// A service in a new file must be in Files, or the gateway would not know its
// options.
func TestFilesHoldsEveryServiceOfTheProtoFolder(t *testing.T) {
	t.Parallel()
	pkg, service := regexp.MustCompile(`(?m)^package ([\w.]+);`), regexp.MustCompile(`(?m)^service (\w+)`)
	var want []string
	err := filepath.WalkDir("../../proto", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".proto" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, s := range service.FindAllSubmatch(text, -1) {
			want = append(want, string(pkg.FindSubmatch(text)[1])+"."+string(s[1]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range wire.Files() {
		for i := range f.Services().Len() {
			got = append(got, string(f.Services().Get(i).FullName()))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(want) == 0 {
		t.Errorf("Files has %v, the folder %v", got, want)
	}
}

func TestOptionsAreRead(t *testing.T) {
	t.Parallel()
	methods := wire.Methods()
	for name, want := range map[string]wire.Method{
		"/prism.keyvalue.v1.KeyValueService/Get":         {Action: prism.ActionRead, Capability: "keyvalue_basic", Idempotency: optionsv1.Idempotency_IDEMPOTENCY_READ},
		"/prism.keyvalue.v1.KeyValueService/Set":         {Action: prism.ActionWrite, Capability: "keyvalue_basic", Idempotency: optionsv1.Idempotency_IDEMPOTENCY_KEYED},
		"/prism.keyvalue.v1.KeyValueService/Watch":       {Action: prism.ActionRead, Capability: "keyvalue_watch", Idempotency: optionsv1.Idempotency_IDEMPOTENCY_READ, Stream: true},
		"/prism.keyvalue.v1.KeyValueService/Transaction": {Action: prism.ActionWrite, Capability: "keyvalue_transactional", Idempotency: optionsv1.Idempotency_IDEMPOTENCY_NONE, Stream: true},
		"/prism.session.v1.SessionService/CreateSession": {Self: true, Idempotency: optionsv1.Idempotency_IDEMPOTENCY_NONE},
		"/prism.admin.v1.AdminService/GetStatus":         {Action: prism.ActionAdminRead, Idempotency: optionsv1.Idempotency_IDEMPOTENCY_READ},
		"/prism.admin.v1.AdminService/CreateKey":         {Action: prism.ActionAdminWrite, Idempotency: optionsv1.Idempotency_IDEMPOTENCY_NONE},
		"/prism.admin.v1.AdminService/TerminateSession":  {Action: prism.ActionAdminOperate, Idempotency: optionsv1.Idempotency_IDEMPOTENCY_NONE},
		"/prism.admin.v1.AdminService/ListAudit":         {Action: prism.ActionAdminAudit, Idempotency: optionsv1.Idempotency_IDEMPOTENCY_READ},
	} {
		m := methods[name]
		if m == nil {
			t.Errorf("%s is not there", name)
			continue
		}
		got := wire.Method{Action: m.Action, Self: m.Self, Capability: m.Capability, Idempotency: m.Idempotency, Stream: m.Stream}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

func TestWhatMayBeSentAgain(t *testing.T) {
	t.Parallel()
	for i, want := range map[optionsv1.Idempotency][2]bool{
		optionsv1.Idempotency_IDEMPOTENCY_UNSPECIFIED: {false, false},
		optionsv1.Idempotency_IDEMPOTENCY_READ:        {true, true},
		optionsv1.Idempotency_IDEMPOTENCY_KEYED:       {false, true},
		optionsv1.Idempotency_IDEMPOTENCY_NONE:        {false, false},
		optionsv1.Idempotency_IDEMPOTENCY_NATURAL:     {true, true},
	} {
		m := &wire.Method{Idempotency: i}
		if got := [2]bool{m.Retryable(false), m.Retryable(true)}; got != want {
			t.Errorf("%s: got %v without and with a key, want %v", i, got, want)
		}
	}
}

// A keyed mutation of data has somewhere to put the key: in the request, or in
// each item.
func TestKeyedDataMethodsTakeAnIdempotencyKey(t *testing.T) {
	t.Parallel()
	for name, m := range wire.Methods() {
		if m.Capability == "" || m.Stream || m.Idempotency != optionsv1.Idempotency_IDEMPOTENCY_KEYED {
			continue
		}
		in := m.Descriptor.Input()
		f := in.Fields().ByName("idempotency_key")
		for i := 0; f == nil && i < in.Fields().Len(); i++ {
			if item := in.Fields().Get(i).Message(); item != nil {
				f = item.Fields().ByName("idempotency_key")
			}
		}
		if f == nil || f.Kind() != protoreflect.StringKind {
			t.Errorf("%s has no idempotency_key", name)
		}
	}
}
