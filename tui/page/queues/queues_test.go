package queues

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type store struct {
	mu      sync.Mutex
	queues  []Queue
	err     error
	asked   []Ask
	changes []Change
}

func (s *store) Run(_ context.Context, args []string, _ string, _ func(string)) (string, error) {
	return "printed by " + strings.Join(args, " ") + "\n", nil
}

func (s *store) Queues(_ context.Context, a Ask) (Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, a)
	out := Snapshot{Queues: s.queues}
	for _, q := range s.queues {
		if q.Name != a.Queue {
			continue
		}
		m := Message{ID: q.Name + "-1", Key: "customer-7", State: a.State, Attempts: 2, Published: tuitest.Noon().Add(-3 * time.Minute), Payload: []byte(`{"order":1}`), Size: 11, Attributes: map[string]string{"trace": "4bf9\x1b[2J"}}
		hostile := Message{ID: "שלום\x1b]0;x\x07", State: a.State, Published: tuitest.Noon().Add(-time.Hour), Payload: []byte("\x00\x01\xff"), Size: 3}
		switch {
		case q.Log:
			m.State, m.Attempts = "", 0
		case a.State == Dead:
			m.Reason, m.Attempts = "failed 5 times: 日本 connection refused", 5
		case a.State == Leased:
			m.Due = tuitest.Noon().Add(25 * time.Second)
		case a.State == Delayed:
			return out, s.err
		}
		out.Messages, out.More = []Message{m, hostile}, q.Log
	}
	return out, s.err
}

func (s *store) Change(_ context.Context, c Change) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, c)
	return "done", nil
}

func mails() *store {
	return &store{queues: []Queue{
		{Name: "audit", Log: true, Kept: 120_000, Bytes: 9 << 20, Groups: []Group{{"billing", 2, 12}, {"search\x1b[2J", 0, 4100}}},
		{Name: "mail", Ready: 1234, Leased: 12, Delayed: 3, Dead: 7, Oldest: 90 * time.Minute, Bytes: 44 << 10},
		{Name: "quiet", Bytes: 0},
	}}
}

func open(t testing.TB, s *store, mode theme.Mode, w, h int) *tuitest.Screen {
	return tuitest.Open(t, tui.Options{Pages: []page.Factory{Factory(s)}, View: "queues shop", Mode: mode}, w, h).Start().Pass(1)
}

func TestScreens(t *testing.T) {
	t.Parallel()
	tuitest.Screens(t, "queues", func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
		return open(t, mails(), mode, w, h).Keys("down").Pass(1)
	})
	for name, draw := range map[string]func() *tuitest.Screen{
		"log": func() *tuitest.Screen { return open(t, mails(), theme.Mono, 80, 24) },
		"dead": func() *tuitest.Screen {
			return open(t, mails(), theme.Mono, 80, 24).Keys("down", "t", "t", "t", "2").Pass(1)
		},
		"none":  func() *tuitest.Screen { return open(t, mails(), theme.Mono, 80, 24).Keys("down", "t").Pass(1) },
		"empty": func() *tuitest.Screen { return open(t, &store{}, theme.Mono, 80, 24) },
		"failed": func() *tuitest.Screen {
			return open(t, &store{err: prism.New(prism.ReasonPermissionDenied, "you may not read namespace shop")}, theme.Mono, 80, 24)
		},
		"redrive": func() *tuitest.Screen { return open(t, mails(), theme.Mono, 80, 24).Keys("down").Pass(1).Keys("R") },
	} {
		t.Run(name, func(t *testing.T) {
			s := draw()
			tuitest.CheckFrame(t, s.Frame(), 80, 24)
			tuitest.Golden(t, name, s.Frame())
		})
	}
}

func TestTheMessagesAreThoseOfTheQueueUnderTheCursor(t *testing.T) {
	t.Parallel()
	s := mails()
	sc := open(t, s, theme.Mono, 120, 40)
	sc.Wants("Newest of audit", "audit-1", "search", "lag 4,100", "more behind")
	sc.Keys("down").Wants("Ready of mail", "mail-1").Lacks("audit-1")
	sc.Keys("t").Wants("Delayed of mail", "no message of mail is delayed")
	sc.Keys("t").Wants("Leased of mail", "24s")
	if last := s.asked[len(s.asked)-1]; last.Queue != "mail" || last.State != Leased {
		t.Errorf("asked for %+v", last)
	}
}

func TestDeadLettersAreRedrivenAndPurgedOnAWord(t *testing.T) {
	t.Parallel()
	s := mails()
	sc := open(t, s, theme.Mono, 120, 40)
	sc.Keys("R").Wants("a log has no dead letters")
	sc.Keys("down").Pass(1).Keys("R").Wants("Deliver 7 dead letters of mail again?", "prismctl queue redrive mail -n shop")
	sc.Keys("y").Pass(1)
	sc.Keys("t", "t", "t", "2").Pass(1).Keys("D").Wants("Remove message mail-1 of mail?", "prismctl queue purge mail mail-1 -n shop")
	sc.Keys("n").Pass(1)
	if want := "[{redrive shop mail false   [] 0s}]"; fmt.Sprint(s.changes) != want {
		t.Errorf("got %v, want %v", s.changes, want)
	}
}

func TestNoKeyMeansTwoThings(t *testing.T) {
	t.Parallel()
	if c := keys.Conflicts(keys.Global(), New(tuitest.Env(), "shop", mails()).Keys()); c != nil {
		t.Error(c)
	}
}

func TestQueuesAndMessagesAreCopiedWhole(t *testing.T) {
	t.Parallel()
	s := open(t, mails(), theme.Mono, 100, 24).Keys("down").Pass(2).Keys("Y", "2", "Y")
	if len(s.Copied) != 2 || s.Copied[0] != "printed by queue info mail -n shop -o yaml\n" {
		t.Fatalf("copied %q", s.Copied)
	}
	var got struct {
		ID      string  `json:"message_id"`
		State   string  `json:"state"`
		Payload *string `json:"payload"`
		Size    int64   `json:"size_bytes"`
		At      string  `json:"published_at"`
	}
	if err := json.Unmarshal([]byte(s.Copied[1]), &got); err != nil || got.ID == "" || got.State != "ready" || got.Payload == nil || got.Size == 0 || got.At == "" {
		t.Errorf("%v: copied %s", err, s.Copied[1])
	}
}
