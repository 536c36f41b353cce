package told_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/tui/component/told"
)

func TestErrorsAreKept(t *testing.T) {
	t.Parallel()
	var l told.Log
	at := time.Unix(100, 0)
	l.Add(at, "overview", errors.New("one"))
	l.Add(at.Add(time.Second), "overview", errors.New("one"))
	l.Add(at.Add(2*time.Second), "sessions", errors.New("one"))
	got := l.List()
	if len(got) != 2 || got[0].Page != "sessions" || got[1].Times != 2 || !got[1].At.Equal(at.Add(time.Second)) {
		t.Errorf("got %+v", got)
	}
	for i := range 2000 {
		l.Add(at, "x", fmt.Errorf("error %d", i))
	}
	if got := l.List(); len(got) != 500 || got[0].What != "error 1999" {
		t.Errorf("%d are kept, the newest is %+v", len(got), got[0])
	}
	if l.Clear(); len(l.List()) != 0 {
		t.Error("they are not forgotten")
	}
}
