package prism_test

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// update adds new reasons to the golden list; it never changes a line of it.
var update = flag.Bool("update", false, "add new reasons to testdata/reasons.golden")

const golden = "testdata/reasons.golden"

// line is what must never change of a reason: its code, its name, the status.
func line(i prism.Info) string { return fmt.Sprintf("%s %s %s", i.Code(), i.Reason, i.Status) }

// Clients and scripts compare reasons and codes, so the committed list only
// grows: a row may be added, and none changed or taken away.
func TestReasonsAndCodesNeverChange(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(golden)
	if err != nil && !*update {
		t.Fatal(err)
	}
	was := strings.FieldsFunc(string(raw), func(r rune) bool { return r == '\n' })
	var is []string
	for _, i := range prism.Infos() {
		is = append(is, line(i))
	}
	for _, l := range was {
		if !slices.Contains(is, l) {
			t.Errorf("%q was promised, and the table no longer has it", l)
		}
	}
	var fresh []string
	for _, l := range is {
		if !slices.Contains(was, l) {
			fresh = append(fresh, l)
		}
	}
	if len(fresh) == 0 {
		return
	}
	if !*update {
		t.Fatalf("new reasons %q are not in %s: run the test with -update and commit it", fresh, golden)
	}
	all := append(was, fresh...)
	slices.Sort(all)
	if err := os.WriteFile(golden, []byte(strings.Join(all, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEveryCodeAndReasonIsUnique(t *testing.T) {
	t.Parallel()
	codes, reasons := map[string]prism.Reason{}, map[prism.Reason]bool{}
	for _, i := range prism.Infos() {
		if was, ok := codes[i.Code()]; ok {
			t.Errorf("%s is both %s and %s", i.Code(), was, i.Reason)
		}
		if reasons[i.Reason] {
			t.Errorf("%s has two rows", i.Reason)
		}
		codes[i.Code()], reasons[i.Reason] = i.Reason, true
	}
}

func TestTheTableIsInOrderOfClassAndNumber(t *testing.T) {
	t.Parallel()
	infos := prism.Infos()
	for i := 1; i < len(infos); i++ {
		a, b := infos[i-1], infos[i]
		if a.Class > b.Class || a.Class == b.Class && a.Number >= b.Number {
			t.Errorf("%s stands before %s", a.Code(), b.Code())
		}
	}
}

// constants reads the Reason constants of the package from its source.
func constants(t *testing.T) map[string]prism.Reason {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]prism.Reason{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Reason" {
			return true
		}
		for i, name := range spec.Names {
			value, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found[name.Name] = prism.Reason(value)
		}
		return true
	})
	return found
}

func TestEveryReasonConstantHasARowAndEveryRowAConstant(t *testing.T) {
	t.Parallel()
	named := map[prism.Reason]bool{}
	for name, r := range constants(t) {
		named[r] = true
		if !r.Known() {
			t.Errorf("%s = %s has no row", name, r)
		}
	}
	if len(named) < 30 {
		t.Fatalf("found only %d constants: the test no longer reads the source", len(named))
	}
	for _, i := range prism.Infos() {
		if !named[i.Reason] {
			t.Errorf("the row of %s has no constant", i.Reason)
		}
	}
}

func TestEveryRowSaysWhatItMeansAndWhatToDo(t *testing.T) {
	t.Parallel()
	upperSnake := regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)
	code := regexp.MustCompile(`^PRISM-[4-6]\d\d\d\d$`)
	for _, i := range prism.Infos() {
		if !upperSnake.MatchString(string(i.Reason)) || !upperSnake.MatchString(string(i.Status)) {
			t.Errorf("%s with status %s: want UPPER_SNAKE", i.Reason, i.Status)
		}
		if !code.MatchString(i.Code()) || i.Number < 1 {
			t.Errorf("%s has code %s", i.Reason, i.Code())
		}
		for what, text := range map[string]string{"summary": i.Summary, "fix": i.Fix} {
			if text == "" || strings.HasSuffix(text, ".") || len(text) > 200 || text[0] >= 'A' && text[0] <= 'Z' {
				t.Errorf("%s of %s is %q: want lower case, no full stop, at most 200 bytes", what, i.Reason, text)
			}
		}
		if i.RetryAfter > 0 && !i.Retryable {
			t.Errorf("%s says when to try again and that it is of no use", i.Reason)
		}
	}
}

func TestRowsAreFoundByReasonAndByCode(t *testing.T) {
	t.Parallel()
	for _, i := range prism.Infos() {
		if got, ok := prism.LookupCode(i.Code()); !ok || got != i {
			t.Errorf("code %s: got %+v, %v", i.Code(), got, ok)
		}
		if got := i.Reason.Info(); got != i {
			t.Errorf("%s: got %+v", i.Reason, got)
		}
	}
	if _, ok := prism.LookupCode("PRISM-99999"); ok {
		t.Error("PRISM-99999 was found")
	}
	if got := prism.Reason("FROM_THE_FUTURE"); got.Known() || got.Info().Reason != prism.ReasonInternal {
		t.Errorf("an unknown reason has the row of %s", got.Info().Reason)
	}
}

func TestInfosAreACopy(t *testing.T) {
	t.Parallel()
	prism.Infos()[0].Reason = "CHANGED"
	if prism.Infos()[0].Reason == "CHANGED" {
		t.Error("a caller changed the table")
	}
}

func TestAReasonIsATargetOfErrorsIs(t *testing.T) {
	t.Parallel()
	if got, want := prism.ReasonNotFound.Error(), "not found"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	err := fmt.Errorf("open: %w", prism.NotFound("key", "k"))
	if !errors.Is(err, prism.ReasonNotFound) || errors.Is(err, prism.ReasonInternal) {
		t.Errorf("%v is not NOT_FOUND alone", err)
	}
}
