package prism_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestNames(t *testing.T) {
	t.Parallel()
	legal := []string{"a", "z9", "a-b", "a-", "kv", strings.Repeat("n", prism.MaxNameBytes-1), strings.Repeat("n", prism.MaxNameBytes)}
	illegal := []string{
		"", strings.Repeat("n", prism.MaxNameBytes+1), strings.Repeat("n", 4096),
		"A", "aB", "9a", "-a", "a.b", "a_b", "a/b", "a:b", "a b", "a\x00b", "a\n", "\xff", ".", "..", "a/../b", "a%2fb",
		"__system", "cafe\u0301", "caf\u00e9", "\u0430bc", "{a}", "a*",
	}
	for _, s := range legal {
		if ns, err := prism.ParseNamespace(s); err != nil || string(ns) != s {
			t.Errorf("%q: got %q, %v", s, ns, err)
		}
	}
	for _, s := range illegal {
		ns, err := prism.ParseNamespace(s)
		if !errors.Is(err, prism.ReasonInvalidArgument) || ns != "" {
			t.Errorf("%q: got %q, %v, want INVALID_ARGUMENT", s, ns, err)
			continue
		}
		if f := prism.From(err).Fields; len(f) != 1 || f[0].Field != "namespace" {
			t.Errorf("%q: fields %v", s, f)
		}
	}
}

func TestEveryByteOfANameIsLooked(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		lower, digit := c >= 'a' && c <= 'z', c >= '0' && c <= '9'
		if got := prism.ValidName(string([]byte{byte(c)})); got != lower {
			t.Errorf("byte %#x first: %v", c, got)
		}
		if got := prism.ValidName(string([]byte{'a', byte(c)})); got != (lower || digit || c == '-') {
			t.Errorf("byte %#x second: %v", c, got)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for s, text := range map[string]string{
		"":                                       "must not be empty",
		"k":                                      "",
		"\x00":                                   "",
		"a\x00b":                                 "",
		" \n\u202e\ufeff":                        "",
		"cafe\u0301":                             "",
		strings.Repeat("k", prism.MaxKeyBytes-1): "",
		strings.Repeat("k", prism.MaxKeyBytes):   "",
		strings.Repeat("k", prism.MaxKeyBytes+1): "must be at most 1024 bytes",
		strings.Repeat("é", prism.MaxKeyBytes/2):   "",
		strings.Repeat("é", prism.MaxKeyBytes/2+1): "must be at most 1024 bytes",
		"\xff":         "must be valid UTF-8",
		"a\xc0\xaf":    "must be valid UTF-8", // an overlong slash
		"\xed\xa0\x80": "must be valid UTF-8", // a surrogate
		"k" + strings.Repeat("\xff", prism.MaxKeyBytes): "must be at most 1024 bytes",
	} {
		err := prism.CheckKey("items[3].key", s)
		if text == "" {
			if err != nil {
				t.Errorf("%.20q: got %v", s, err)
			}
			continue
		}
		e := prism.From(err)
		if e == nil || len(e.Fields) != 1 || e.Fields[0] != (prism.FieldError{Field: "items[3].key", Message: text}) {
			t.Errorf("%.20q: got %v, want the field and %q", s, err, text)
		}
	}
}

func TestActionsHaveNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for a := prism.ActionNone; a <= prism.ActionAdminAudit; a++ {
		if s := a.String(); s == "" || s == "unknown" || seen[s] {
			t.Errorf("action %d is %q", a, s)
		} else {
			seen[s] = true
		}
	}
	if got := (prism.ActionAdminAudit + 1).String(); got != "unknown" {
		t.Errorf("an action that is none is %q", got)
	}
}
