package root_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/cli/root"
)

// leaves visits the commands that do something.
func leaves(t *testing.T, visit func(c *cobra.Command, path []string)) {
	walk(t, func(c *cobra.Command) {
		if c.HasParent() && c.Runnable() && !c.HasSubCommands() && c.Name() != "help" {
			visit(c, strings.Fields(c.CommandPath())[1:])
		}
	})
}

// arity reads the use line: how many arguments a command must have, and may.
func arity(c *cobra.Command) (least, most int) {
	_, use, _ := strings.Cut(c.Use, " ")
	use = flagged.ReplaceAllString(" "+use, "")
	for inner := bracketed.FindString(use); inner != ""; inner = bracketed.FindString(use) { // [KIND [NAME]]
		use = strings.Replace(use, inner, "", 1)
		switch {
		case inner == "[flags]":
		case strings.Contains(inner, "...") || strings.Contains(inner, "…"):
			most = 1 << 20
		default:
			most++
		}
	}
	for _, w := range strings.Fields(use) {
		least, most = least+1, most+1
		if strings.HasSuffix(w, "...") || strings.HasSuffix(w, "…") {
			most = 1 << 20
		}
	}
	return least, most
}

var flagged = regexp.MustCompile(` --?[a-z].*`)

var bracketed = regexp.MustCompile(`\[[^][]*\]`)

// complains checks what every error has in common: its code, its shape, and
// that nothing was printed as if it were a result.
func complains(t *testing.T, code int, got clitest.Result, words ...string) {
	t.Helper()
	if got.Code != code || got.Out != "" {
		t.Errorf("exit %d, want %d; output %q\n%s", got.Code, code, got.Out, got.ErrOut)
	}
	short(t, got)
	for _, w := range words {
		if !strings.Contains(got.ErrOut, w) {
			t.Errorf("the error lacks %q:\n%s", w, got.ErrOut)
		}
	}
}

// short checks that an error is told in at most six lines, and has the two that
// help: what to type, and where it is explained.
func short(t *testing.T, got clitest.Result) {
	t.Helper()
	if got.Code == 70 || strings.Contains(got.ErrOut, "goroutine ") {
		t.Errorf("it crashed:\n%s", got.ErrOut)
	}
	if n := strings.Count(got.ErrOut, "\n"); n > 6 {
		t.Errorf("the error has %d lines:\n%s", n, got.ErrOut)
	}
	if got.Code != 0 && got.Code < 130 && (!strings.Contains(got.ErrOut, "error: ") || !strings.Contains(got.ErrOut, "\n  docs: ")) {
		t.Errorf("exit %d without an error in our shape:\n%s", got.Code, got.ErrOut)
	}
}

// Each command is given what it cannot take.
func TestBadInput(t *testing.T) {
	t.Parallel()
	leaves(t, func(c *cobra.Command, path []string) {
		var typed []string                                         // flags of which not every text is a value
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { // which changes the tree: not side by side
			if kind := f.Value.Type(); !strings.HasPrefix(kind, "string") && f.Name != "help" {
				typed = append(typed, "--"+f.Name)
			}
		})
		t.Run(strings.Join(path, " "), func(t *testing.T) {
			t.Parallel()
			r := clitest.Offline(t)
			run := func(more ...string) clitest.Result {
				t.Helper()
				return r.Run(append(slices.Clone(path), more...)...)
			}
			least, most := arity(c)
			args := make([]string, least)
			for i := range args {
				args[i] = fmt.Sprintf("a%d", i)
			}
			complains(t, 2, run(append(args, "--quasars")...), `unknown flag --quasars`, "  fix: ")
			complains(t, 2, run(append(args, "-Z")...), "Z")
			if least > 0 {
				complains(t, 2, run(args[1:]...), " needs ", "  fix: prismctl "+path[0])
			}
			if most < 1<<20 {
				for len(args) <= most {
					args = append(args, "surplus")
				}
				complains(t, 2, run(args...), `"surplus"`)
				args = args[:least]
			}
			if cli.KindOf(c) != "" {
				complains(t, 2, run(append(args, "-o", "xml")...), `unknown output format "xml"`, "table, wide, json, jsonl, yaml, name, csv")
			}
			for _, flag := range typed {
				complains(t, 2, run(append(args, flag+"=§")...), flag)
			}
		})
	})
	for _, wrong := range []string{"--timeout=soon", "--color=sometimes", "--insecure=perhaps", "--time-format=iso", "--verbose=much"} {
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			name, _, _ := strings.Cut(wrong, "=")
			complains(t, 2, clitest.Offline(t).Run("namespace", "list", wrong), strings.TrimLeft(strings.ReplaceAll(name, "-", " "), " ")[:4])
		})
	}
}

// each runs every printer in a place of the test's making.
func each(t *testing.T, prepare func(*testing.T, *clitest.Rig), judge func(*testing.T, *clitest.Rig, string, clitest.Result)) {
	for path := range printers() {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			r, args := line(t, path)
			prepare(t, r)
			judge(t, r, path, r.Run(args...))
		})
	}
}

// files are the nouns that need no gateway.
func files(path string) bool {
	noun, _, _ := strings.Cut(path, " ")
	return slices.Contains([]string{"config", "context", "errors", "version"}, noun)
}

// answers reports whether an exit code of 1 is what a command found out.
func answers(path string) bool { return path == "doctor" || strings.HasSuffix(path, "diff") }

func TestADeadGatewayIsExit6InEveryCommand(t *testing.T) {
	t.Parallel()
	each(t, func(_ *testing.T, r *clitest.Rig) {
		r.Env["PRISM_DATA"], r.Env["PRISM_ADMIN"] = "127.0.0.1:1", "127.0.0.1:1"
	}, func(t *testing.T, _ *clitest.Rig, path string, got clitest.Result) {
		switch {
		case path == "doctor": // it finds that out
		case files(path):
			if got.Code != 0 {
				t.Errorf("exit %d\n%s", got.Code, got.ErrOut)
			}
		default:
			complains(t, 6, got, "cannot reach the gateway at 127.0.0.1:1", "fix: prismctl dev up")
		}
	})
}

// A gateway that knows none of our calls says so in one sentence of ours.
func TestAGatewayOfAnotherTimeIsToldAndNoCrash(t *testing.T) {
	t.Parallel()
	older := serve(t, func(any, grpc.ServerStream) error { return status.Error(codes.Unimplemented, "unknown service") })
	// One that is newer answers with what we do not know, and with nothing that we do.
	newer := serve(t, func(_ any, s grpc.ServerStream) error {
		if err := s.RecvMsg(&emptypb.Empty{}); err != nil {
			return err
		}
		m := &emptypb.Empty{}
		m.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 2047, protowire.VarintType), 7))
		return s.SendMsg(m)
	})
	for name, address := range map[string]string{"older": older, "newer": newer} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(_ *testing.T, r *clitest.Rig) {
				r.Env["PRISM_DATA"], r.Env["PRISM_ADMIN"] = address, address
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second) // of a stream that ends at once, the next is waited for
				t.Cleanup(cancel)
				r.Context = ctx
			}, func(t *testing.T, _ *clitest.Rig, path string, got clitest.Result) {
				if answers(path) && got.Code == 1 {
					return
				}
				short(t, got)
				code := 1
				if answers(path) {
					code = 7
				}
				if name == "older" && !files(path) && (got.Code != code || !strings.Contains(got.ErrOut, "is of another version; prismctl version compares them")) {
					t.Errorf("exit %d\n%s", got.Code, got.ErrOut)
				}
			})
		})
	}
}

// serve answers every call alike.
func serve(t *testing.T, answer grpc.StreamHandler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.UnknownServiceHandler(answer))
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

func TestNoColorIsNoEscapeOnATerminalToo(t *testing.T) {
	t.Parallel()
	each(t, func(_ *testing.T, r *clitest.Rig) {
		r.TTY, r.Env["NO_COLOR"] = true, "1"
	}, func(t *testing.T, _ *clitest.Rig, _ string, got clitest.Result) {
		if got.Code != 0 || strings.Contains(got.Out+got.ErrOut, "\x1b") {
			t.Errorf("exit %d: %q", got.Code, got.Out+got.ErrOut)
		}
	})
}

// What is ours is ASCII where the locale is not UTF-8; what is the user's stays.
func TestALocaleThatIsNotUTF8GetsASCII(t *testing.T) {
	t.Parallel()
	each(t, func(_ *testing.T, r *clitest.Rig) {
		r.TTY, r.Width, r.Env["LANG"] = true, 60, "C"
	}, func(t *testing.T, _ *clitest.Rig, _ string, got clitest.Result) {
		for _, c := range strings.NewReplacer("猫", "", "ねこ 🐈", "", "ねこ", "").Replace(got.Out + got.ErrOut) {
			if c > 0x7e {
				t.Fatalf("exit %d: %q in\n%s%s", got.Code, c, got.Out, got.ErrOut)
			}
		}
	})
}

// Without a home, or with one that nobody can write to, all works but what is to
// be kept there.
func TestAHomeThatIsNotThere(t *testing.T) {
	t.Parallel()
	keeps := []string{"context add", "context use", "context rm", "context rename"}
	each(t, func(_ *testing.T, r *clitest.Rig) {
		r.Prepare = func(f *cli.Factory) { f.Place.Home, f.Place.Temp = os.DevNull, os.DevNull }
	}, func(t *testing.T, _ *clitest.Rig, path string, got clitest.Result) {
		switch {
		case slices.Contains(keeps, path):
			short(t, got)
			if got.Code == 0 || !strings.Contains(got.ErrOut, os.DevNull) && got.Code != 3 {
				t.Errorf("exit %d\n%s%s", got.Code, got.Out, got.ErrOut)
			}
		case got.Code != 0:
			t.Errorf("exit %d\n%s", got.Code, got.ErrOut)
		}
	})
}

func TestAReaderThatLeavesAndADiskThatIsFull(t *testing.T) {
	t.Parallel()
	for path := range printers() {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			gone, w := io.Pipe()
			gone.Close()
			if r, args := line(t, path); r.Run(args...).Out == "" {
				return // nothing is printed where nothing differs
			}
			for _, c := range []struct {
				to   io.Writer
				code int
				says string
			}{{w, 0, ""}, {full507{}, 1, "error: the output cannot be written: no space left on device"}} {
				r, args := line(t, path)
				f, _, _, errOut := r.Factory()
				f.IO.Redirect(c.to)
				code := root.Main(context.Background(), f, args)
				if code != c.code || !strings.HasPrefix(strings.TrimPrefix(errOut.String(), prelude(errOut.String())), c.says) {
					t.Errorf("exit %d, want %d: %q", code, c.code, errOut)
				}
				short(t, clitest.Result{Code: code, ErrOut: errOut.String()})
			}
		})
	}
}

// prelude is what a command says before it prints.
func prelude(text string) string {
	if at := strings.Index(text, "error: "); at >= 0 {
		return text[:at]
	}
	return text
}

// Whoever cannot be asked is told which flag to pass; and nothing happens.
func TestNobodyIsAskedInAPipeOrInCI(t *testing.T) {
	t.Parallel()
	for path, args := range printers() {
		if !slices.Contains(args, "--yes") {
			continue
		}
		for name, prepare := range map[string]func(*clitest.Rig){
			"a pipe": func(*clitest.Rig) {}, "CI": func(r *clitest.Rig) { r.TTY, r.Env["CI"], r.Env["NO_COLOR"] = true, "true", "1" },
		} {
			t.Run(path+" in "+name, func(t *testing.T) {
				t.Parallel()
				r, args := line(t, path)
				prepare(r)
				args = slices.DeleteFunc(args, func(w string) bool { return w == "--yes" })
				complains(t, 2, r.Run(args...), "pass --yes")
			})
		}
	}
}

// A version, help and scripts for shells ask nobody.
func TestNothingIsAskedAtTheStart(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	r.Gateway.Fail = func(method string, _ metadata.MD) error { t.Errorf("%s is called", method); return nil }
	for _, args := range [][]string{{"--version"}, {}, {"help", "exit-codes"}, {"namespace", "list", "--help"}, {"completion", "bash"}, {"completion", "zsh"}, {"completion", "fish"}, {"completion", "powershell"}, {"schema"}, {"errors", "list"}} {
		r.Prepare = func(f *cli.Factory) {
			f.Conn = func(context.Context, string) (grpc.ClientConnInterface, error) {
				t.Errorf("%v connects", args)
				return nil, io.EOF
			}
		}
		r.OK(args...)
	}
}

func TestQuietPrintsNamesOnly(t *testing.T) {
	t.Parallel()
	for path := range printers() {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			r, args := line(t, path)
			names := r.OK(append(slices.Clone(args), "-o", "name")...)
			r, args = line(t, path)
			got := r.Run(append(args, "--quiet")...)
			if got.Out != names || got.ErrOut != "" {
				t.Errorf("got %q and %q, want %q and nothing", got.Out, got.ErrOut, names)
			}
		})
	}
}
