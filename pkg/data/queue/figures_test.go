package queue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/data/queue"
)

// figures are what the topics and groups of a world tell, most of either.
func (w *world) figures(ctx context.Context, most int) (topics, groups map[string]string) {
	topics, groups = map[string]string{}, map[string]string{}
	w.Figures(ctx, most, "_other", func(name string, t queue.TopicFigures) {
		topics[name] = fmt.Sprintf("%d kept, %d B, %d ever", t.Messages, t.Bytes, t.Published)
	}, func(topic, group string, g queue.GroupFigures) {
		groups[topic+" "+group] = fmt.Sprintf("%d members, %d behind for %s, sent %d, again %d, skipped %d", g.Members, g.Lag, g.Age, g.Delivered, g.Redelivered, g.Skipped)
	})
	return topics, groups
}

func (w *world) tells(what string, got map[string]string, want map[string]string) {
	w.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func TestTheFiguresOfALogAndItsGroups(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 2)
	w.lines("orders", 0, "a", "bb")
	w.clock.Advance(time.Minute)
	w.lines("orders", 1, "ccc")
	w.clock.Advance(time.Minute)
	topics, groups := w.figures(t.Context(), 10)
	w.tells("topics", topics, map[string]string{"orders": "3 kept, 6 B, 3 ever"})
	w.tells("no group", groups, nil)

	r := w.join("orders", queue.SubscribeOptions{})
	r.gets(3)
	w.ack("orders", "0-0")
	_, groups = w.figures(t.Context(), 10)
	w.tells("a member", groups, map[string]string{"orders g": "1 members, 2 behind for 2m0s, sent 3, again 0, skipped 0"})
	w.ack("orders", "0-1")
	r.Leave()
	_, groups = w.figures(t.Context(), 10)
	w.tells("without it", groups, map[string]string{"orders g": "0 members, 1 behind for 1m0s, sent 3, again 0, skipped 0"})
	again := w.join("orders", queue.SubscribeOptions{})
	again.gets(1)
	w.ack("orders", "1-0")
	_, groups = w.figures(t.Context(), 10)
	w.tells("another", groups, map[string]string{"orders g": "1 members, 0 behind for 0s, sent 4, again 0, skipped 0"})
}

func TestWhatComesAgainAndWhatIsSkippedIsCounted(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	w.topic("orders", 1)
	w.lines("orders", 0, "a", "b", "c", "d")
	first := w.join("orders", queue.SubscribeOptions{MaxUnacknowledged: 2})
	first.gets(2)
	second := w.join("orders", queue.SubscribeOptions{})
	first.Leave()
	second.gets(4)
	_, groups := w.figures(t.Context(), 10)
	w.tells("come again", groups, map[string]string{"orders g": "1 members, 4 behind for 0s, sent 6, again 2, skipped 0"})
	second.Leave()

	w.must(w.set.StreamRetention.Truncate(t.Context(), "log", "orders", 0, 3))
	w.join("orders", queue.SubscribeOptions{}).gets(1)
	_, groups = w.figures(t.Context(), 10)
	w.tells("taken away", groups, map[string]string{"orders g": "1 members, 1 behind for 0s, sent 7, again 2, skipped 3"})
}

func TestFiguresAreBounded(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	for _, name := range []string{"a", "b", "c"} {
		w.topic(name, 1)
		w.lines(name, 0, "x")
		for _, group := range []string{"g", "h"} {
			w.must(w.Commit(t.Context(), name, group, []queue.PartitionOffset{{}}))
		}
	}
	topics, groups := w.figures(t.Context(), 3)
	w.tells("topics", topics, map[string]string{"a": "1 kept, 1 B, 1 ever", "b": "1 kept, 1 B, 1 ever", "c": "1 kept, 1 B, 1 ever"})
	one := "0 members, 1 behind for 0s, sent 0, again 0, skipped 0"
	w.tells("groups", groups, map[string]string{"a g": one, "a h": one, "b g": one, "_other _other": "0 members, 3 behind for 0s, sent 0, again 0, skipped 0"})
	topics, _ = w.figures(t.Context(), 1)
	w.tells("one topic", topics, map[string]string{"a": "1 kept, 1 B, 1 ever", "_other": "2 kept, 2 B, 2 ever"})

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	topics, groups = w.figures(ended, 3)
	w.tells("after the end of the context", topics, nil)
	w.tells("after the end of the context", groups, nil)
	topics, _ = fresh(t, "stream_basic").figures(t.Context(), 3)
	w.tells("a backend without logs", topics, nil)
}
