package root_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/clipperhouse/displaywidth"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

// hostile clears the screen, sets a title, turns the line around, goes back,
// begins a new line, and is wider than it looks.
const hostile = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202eabc\u2066\r\n\t猫👩\u200d💻\u200b\x00\xff"

// spoil puts it behind every text of a message, but for those that a client
// must send back.
func spoil(m proto.Message) { spoilMessage(m.ProtoReflect()) }

func spoilMessage(m protoreflect.Message) {
	evil := strings.ToValidUTF8(hostile, "") // gRPC carries no other
	bad := func(kind protoreflect.Kind, v protoreflect.Value) protoreflect.Value {
		switch kind {
		case protoreflect.StringKind:
			return protoreflect.ValueOfString(v.String() + evil)
		case protoreflect.BytesKind:
			return protoreflect.ValueOfBytes(append(slices.Clone(v.Bytes()), hostile...))
		}
		return v
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch name := string(f.Name()); {
		case slices.Contains([]string{"cursor", "position", "next_cursor", "operation_id", "session_id"}, name):
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, e protoreflect.Value) bool {
				if f.MapValue().Message() != nil {
					spoilMessage(e.Message())
				} else {
					v.Map().Set(k, bad(f.MapValue().Kind(), e))
				}
				return true
			})
		case f.IsList():
			for i := range v.List().Len() {
				if f.Message() != nil {
					spoilMessage(v.List().Get(i).Message())
				} else {
					v.List().Set(i, bad(f.Kind(), v.List().Get(i)))
				}
			}
		case f.Message() != nil:
			spoilMessage(v.Message())
		default:
			m.Set(f, bad(f.Kind(), v))
		}
		return true
	})
}

// painted are the escapes that are ours: colours, and links to what was escaped.
var painted = regexp.MustCompile("\x1b\\[[0-9;]*m|\x1b\\]8;;[^\x1b]*\x1b\\\\")

// Whatever a gateway says, no command lets it move a cursor, turn a line around
// or leave its column.
func TestHostileNamesStayInTheirPlace(t *testing.T) {
	t.Parallel()
	for path := range printers() {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			for _, tty := range []bool{true, false} {
				for _, format := range []string{"", "table", "wide", "json", "jsonl", "yaml", "csv", "name"} {
					r, args := line(t, path)
					r.Gateway.Rewrite = spoil
					r.TTY = tty
					if format != "" {
						args = append(args, "-o", format)
					}
					got := r.Run(args...)
					if got.Code == 70 {
						t.Errorf("-o %s: it crashed: %s", format, got.ErrOut)
					}
					raw := !tty && (format == "name" || format == "csv" || format == "" && slices.Contains([]string{"kv get", "cache get"}, path))
					if !raw { // a program gets what is there
						harmless(t, format, got.Out)
					}
					harmless(t, format, got.ErrOut)
					if tty && (format == "table" || format == "wide") && strings.HasSuffix(path, " list") {
						inColumns(t, got, r.Width)
					}
				}
			}
		})
	}
}

func harmless(t *testing.T, format, text string) {
	t.Helper()
	for _, c := range painted.ReplaceAllString(text, "") {
		if c != '\n' && (c != '\t' || format != "") && (unicode.IsControl(c) || c != '\u200d' && unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp)) {
			t.Errorf("-o %s lets %U through: %q", format, c, text)
			return
		}
	}
}

// inColumns checks that no line of a table is longer than the terminal.
func inColumns(t *testing.T, got clitest.Result, width int) {
	t.Helper()
	for l := range strings.Lines(got.Out) {
		if w := displaywidth.String(strings.TrimSuffix(painted.ReplaceAllString(l, ""), "\n")); w > width {
			t.Errorf("a line of %d columns on a terminal of %d: %q", w, width, l)
		}
	}
}
