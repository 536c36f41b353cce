package form_test

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/tui/component/form"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

func namespace() *form.Model {
	m := form.New(
		form.Field{Name: "name", Label: "Name", Help: "small letters, digits and dashes", Required: true},
		form.Field{Name: "model", Label: "Model", Value: "keyvalue", Options: []string{"keyvalue", "cache", "queue", "timeseries"}},
		form.Field{Name: "ttl", Label: "TTL", When: func(v map[string]string) bool { return v["model"] == "cache" }},
		form.Field{Name: "backend", Label: "Backend", Asked: true},
	)
	m.Verb = "Create"
	m.Check = func(v map[string]string) map[string]string {
		if strings.ToLower(v["name"]) != v["name"] {
			return map[string]string{"name": "has large letters"}
		}
		return nil
	}
	m.Command = func(v map[string]string) string {
		return "prismctl namespace create " + v["name"] + " --model " + v["model"]
	}
	return m
}

func view(m *form.Model) string {
	return ansi.Strip(strings.Join(m.View(theme.New(theme.Mono), 80, 30), "\n"))
}

func press(m *form.Model, names ...string) (done bool) {
	for _, n := range names {
		chars := n
		if len(n) > 1 {
			chars = ""
		}
		done = m.Press(n, chars)
	}
	return done
}

func wants(t *testing.T, m *form.Model, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(view(m), p) {
			t.Errorf("%q is not there:\n%s", p, view(m))
		}
	}
}

func TestAFormIsFilledIn(t *testing.T) {
	t.Parallel()
	m := namespace()
	wants(t, m, "▸ Name*    ▏", "small letters, digits and dashes", "$ prismctl namespace create  --model keyvalue")
	if m.Dirty() || press(m, "ctrl+s") {
		t.Error("it is carried out without a name")
	}
	wants(t, m, "✗ is needed")
	press(m, "A")
	wants(t, m, "A▏  ✗ has large letters")
	press(m, "backspace", "a", "b", "enter", "q", "u")
	wants(t, m, "qu▏", "▸ queue")
	press(m, "enter")
	if got := m.Values(); got["model"] != "queue" || got["name"] != "ab" || m.Focused() != "backend" || !m.Dirty() {
		t.Errorf("%v at %s", got, m.Focused())
	}
	wants(t, m, "asking for what there is…")
	m.SetOptions("backend", []string{"local", "redis"}, "")
	press(m, "down", "down")
	if m.Values()["backend"] != "redis" {
		t.Errorf("got %v", m.Values())
	}
	if !press(m, "enter", "enter") {
		t.Errorf("it is not carried out\n%s", view(m))
	}
}

func TestAFieldIsAskedOnlyWhen(t *testing.T) {
	t.Parallel()
	m := namespace()
	if strings.Contains(view(m), "TTL") {
		t.Error("the TTL of a key-value namespace")
	}
	press(m, "tab", "down")
	wants(t, m, "TTL", "cache▏")
	if _, ok := m.Values()["ttl"]; !ok {
		t.Error("the TTL of a cache is missing")
	}
}

func TestAWrongChoiceIsToldAndOptionsMayFail(t *testing.T) {
	t.Parallel()
	m := namespace()
	press(m, "tab", "ctrl+u", "z", "z")
	wants(t, m, "! nothing matches")
	press(m, "tab")
	wants(t, m, "✗ is none of the choices")
	m.SetOptions("backend", nil, "cannot reach the gateway")
	wants(t, m, "! cannot reach the gateway")
	m.Failure = "the name is taken"
	wants(t, m, "✗ the name is taken")
	press(m, "x")
	if m.Failure != "" {
		t.Error("an old failure stays")
	}
	if m.Waits("backend"); !strings.Contains(view(m), "asking") {
		t.Error("new options are not waited for")
	}
}

func TestASecretIsNotShown(t *testing.T) {
	t.Parallel()
	m := form.New(form.Field{Name: "key", Label: "Key", Secret: true}, form.Field{Name: "x", Label: "X"})
	m.Press("", "hunter2")
	if strings.Contains(view(m), "hunter2") {
		t.Error("a secret is typed in clear")
	}
	press(m, "tab")
	if strings.Contains(view(m), "hunter2") || !strings.Contains(view(m), "•••••••") {
		t.Errorf("got\n%s", view(m))
	}
}

func TestAnySizeAnyKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := namespace()
		m.SetOptions("backend", []string{"日本語", "a\x1b[2J", strings.Repeat("w", 300)}, "")
		for _, k := range rapid.SliceOfN(rapid.SampledFrom([]string{"tab", "shift+tab", "up", "down", "enter", "a", "日", "backspace", "ctrl+u", "ctrl+s", "left"}), 0, 20).Draw(t, "keys") {
			press(m, k)
			w, h := rapid.IntRange(0, 90).Draw(t, "w"), rapid.IntRange(0, 20).Draw(t, "h")
			lines := m.View(theme.New(theme.Dark), w, h)
			if len(lines) > h {
				t.Fatalf("%d lines in %d", len(lines), h)
			}
			for _, l := range lines {
				if text.Width(l) > w || strings.Contains(ansi.Strip(l), "\x1b") {
					t.Fatalf("%q in %d cells", l, w)
				}
			}
			if h >= 8 && w >= 30 && !strings.Contains(strings.Join(lines, "\n"), "▸") {
				t.Fatalf("what has the cursor is out of sight in %d×%d:\n%s", w, h, strings.Join(lines, "\n"))
			}
		}
	})
}
