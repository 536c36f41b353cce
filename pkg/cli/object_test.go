package cli

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"
)

func sample() Object {
	return Object{
		{"text", "a\"b\\c\n\t\r\x00\x1b\u009b\u202e\u2028猫\xff"},
		{"plain", "kv-1.x/y"},
		{"yes", "yes"},
		{"number", "12"},
		{"date", "2026-03-01"},
		{"empty", ""},
		{"int", int64(-5)},
		{"small", 7},
		{"uint", uint64(math.MaxUint64)},
		{"float", 1.5},
		{"nan", math.NaN()},
		{"bool", true},
		{"null", nil},
		{"list", []any{"a", int64(1), Object{{"x", "y"}, {"z", []any{}}}, []any{"b"}}},
		{"none", []any{}},
		{"object", Object{{"k", "v"}}},
		{"bare", Object{}},
	}
}

func TestJSONIsJSONAndSafeForATerminal(t *testing.T) {
	data, err := sample().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	writeJSON(&pretty, sample(), "", "  ")
	for _, text := range []string{string(data), pretty.String()} {
		var v map[string]any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if got := v["text"]; got != "a\"b\\c\n\t\r\x00\x1b\u009b\u202e\u2028猫\ufffd" {
			t.Errorf("got %q", got)
		}
		if strings.ContainsAny(text, "\x1b\x00\u009b\u202e\u2028") {
			t.Errorf("a control character is there: %q", text)
		}
	}
	if !strings.HasPrefix(string(data), `{"text":`) {
		t.Errorf("the order is lost: %s", data)
	}
}

func TestYAMLSaysTheSameAsJSON(t *testing.T) {
	o := sample()[1:]
	var y bytes.Buffer
	writeYAML(&y, o, 0)
	var fromYAML, fromJSON any
	if err := yaml.Unmarshal(y.Bytes(), &fromYAML); err != nil {
		t.Fatalf("%v\n%s", err, y.String())
	}
	j, _ := o.MarshalJSON()
	if err := yaml.Unmarshal(j, &fromJSON); err != nil { // JSON is YAML
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fromYAML, fromJSON) {
		t.Errorf("got\n%#v\nwant\n%#v\n%s", fromYAML, fromJSON, y.String())
	}
}

func TestAnyTextSurvivesYAML(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[a-zA-Z0-9_~:#'"{}\[\],&*!|>%@ \\.-]{0,12}`).Draw(t, "text")
		var b bytes.Buffer
		writeYAML(&b, Object{{"k", s}}, 0)
		var got map[string]any
		if err := yaml.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%q: %v\n%s", s, err, b.String())
		}
		if got["k"] != s {
			t.Fatalf("%q came back as %#v\n%s", s, got["k"], b.String())
		}
	})
}

func TestPlainIsWhatJSONWouldDecode(t *testing.T) {
	got := plain(Object{{"a", int64(1)}, {"b", []any{uint64(2), uint64(math.MaxUint64)}}})
	want := map[string]any{"a": 1, "b": []any{2, json.Number("18446744073709551615")}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v", got)
	}
	if v, ok := (Object{{"a", 1}}).Get("b"); ok || v != nil {
		t.Error("b is there")
	}
}

func TestScalarOfAnythingElse(t *testing.T) {
	if got := scalar(struct{}{}); got != "{}" {
		t.Errorf("got %q", got)
	}
}
