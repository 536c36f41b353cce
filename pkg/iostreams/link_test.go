package iostreams_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

func TestLinksAreForTerminalsThatShowThem(t *testing.T) {
	t.Parallel()
	const link = "\x1b]8;;http://h/a\x1b\\text\x1b]8;;\x1b\\"
	for _, c := range []struct {
		name  string
		tty   bool
		color iostreams.ColorMode
		env   map[string]string
		want  string
	}{
		{"terminal", true, iostreams.ColorAuto, nil, link},
		{"pipe", false, iostreams.ColorAuto, nil, "text"},
		{"pipe, forced colour", false, iostreams.ColorAlways, nil, "text"},
		{"NO_COLOR", true, iostreams.ColorAuto, map[string]string{"NO_COLOR": "1"}, "text"},
		{"NO_COLOR, forced colour", true, iostreams.ColorAlways, map[string]string{"NO_COLOR": "1"}, "text"},
		{"TERM=dumb", true, iostreams.ColorAlways, map[string]string{"TERM": "dumb"}, "text"},
		{"--color never", true, iostreams.ColorNever, nil, "text"},
	} {
		s, _, _, _ := iostreams.Test()
		s.SetTTY(c.tty, c.tty, c.tty)
		s.SetColor(c.color)
		s.SetEnv(c.env)
		if got := s.Link(iostreams.Out, "text", "http://h/a"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	s, _, _, _ := iostreams.Test()
	s.SetTTY(true, true, true)
	if got, want := s.Link(iostreams.Out, "a\x1b[2Jb", "http://h/\x1b\\x"), "\x1b]8;;http://h/\\x1b\\x\x1b\\a\\x1b[2Jb\x1b]8;;\x1b\\"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
