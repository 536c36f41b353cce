package queues

import (
	"context"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
)

// The actions of the page.
const (
	actState   keys.Action = "queue-state"
	actPublish keys.Action = "queue-publish"
	actRedrive keys.Action = "queue-redrive"
	actPurge   keys.Action = "queue-purge"
)

// Keys is what keys do on the page.
func (m *Model) Keys() keys.Table {
	return append(keys.Table{
		{Action: actState, Keys: []string{"t"}, Label: "state", Help: "messages in the next state: ready, delayed, leased, dead"},
		{Action: actPublish, Keys: []string{"n"}, Label: "publish", Help: "publish a message", Changes: true},
		{Action: actRedrive, Keys: []string{"R"}, Label: "redrive", Help: "deliver dead letters again: the one under the cursor, or all", Changes: true},
		{Action: actPurge, Keys: []string{"D"}, Label: "purge", Help: "remove dead letters: the one under the cursor, or all", Changes: true},
	}, m.Split.Keys()...)
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	q, ok := m.chosen()
	switch {
	case a == actState:
		m.ask.Change(func(k *Ask) {
			all := states()
			k.State = all[(slices.Index(all, k.State)+1)%len(all)]
		})
		m.fill()
		return m.Live.Hurry()
	case a == actPublish:
		return page.Do(m.publish(q))
	case a != actRedrive && a != actPurge:
		return tea.Batch(m.Split.Do(a), m.follow())
	case !ok:
		return toast.Warn("there is no queue here")
	case q.Log:
		return toast.Warn("a log has no dead letters: its groups go back with " + m.command("seek "+text.Quote(q.Name)))
	case q.Dead == 0:
		return toast.Warn("no message of " + text.Clean(q.Name) + " is dead")
	}
	return page.Do(m.dead(a, q))
}

// dead asks before dead letters are delivered again or removed: one when the
// cursor is on it, else all.
func (m *Model) dead(a keys.Action, q Queue) page.Ask {
	c := Change{Kind: Redrive, Namespace: m.namespace, Queue: q.Name}
	what := figure.Count(q.Dead) + " dead letters"
	if q.Dead == 1 {
		what = "1 dead letter"
	}
	words := " " + text.Quote(q.Name)
	if row, ok := m.messages.Table.Selected(); ok && m.Stack.Focused() == m.messages && m.byID[row.ID].State == Dead {
		c.ID, what = row.ID, "message "+text.Clean(row.ID)
		words += " " + text.Quote(row.ID)
	}
	ask := page.Ask{
		Title: fmt.Sprintf("Deliver %s of %s again?", what, text.Clean(q.Name)), Verb: "Redrive", Name: q.Name,
		Lines: []string{"They are ready at once, with no attempt counted yet."},
	}
	verb := "redrive"
	if a == actPurge {
		c.Kind, verb = Purge, "purge"
		ask.Title, ask.Verb = fmt.Sprintf("Remove %s of %s?", what, text.Clean(q.Name)), "Purge"
		ask.Lines = []string{"What they carry is lost."}
	}
	ask.Job = page.Job{Command: m.command(verb + words), Do: func(ctx context.Context, _ func(string)) (string, error) {
		return m.source.Change(ctx, c)
	}}
	return ask
}

func (m *Model) publish(q Queue) page.Form {
	return page.Form{
		Title: "Publish a message", Verb: "Publish",
		Fields: []page.Field{
			{Name: "queue", Label: "Queue", Required: true, Value: q.Name, Help: "one that is not there yet is made, as a work queue"},
			{Name: "payload", Label: "Payload", Help: "as text; bytes and files: prismctl queue publish"},
			{Name: "key", Label: "Key", Help: "messages of one key are delivered in order; empty: none"},
			{Name: "delay", Label: "Delay", Help: "such as 90s; empty: none", When: func(v map[string]string) bool { return !m.isLog(v["queue"]) }},
		},
		Check: func(v map[string]string) map[string]string {
			if d, err := time.ParseDuration(v["delay"]); v["delay"] != "" && (err != nil || d < 0) {
				return map[string]string{"delay": "write it as 90s or 24h"}
			}
			return nil
		},
		Command: func(v map[string]string) string {
			words := "publish " + text.Quote(v["queue"]) + " " + text.Quote(v["payload"])
			for _, flag := range []string{"key", "delay"} {
				if v[flag] != "" {
					words += " --" + flag + " " + text.Quote(v[flag])
				}
			}
			return m.command(words)
		},
		Do: func(ctx context.Context, v map[string]string, _ func(string)) (string, error) {
			delay, _ := time.ParseDuration(v["delay"])
			return m.source.Change(ctx, Change{
				Kind: Publish, Namespace: m.namespace, Queue: v["queue"], Log: q.Log && v["queue"] == q.Name,
				Key: v["key"], Payload: []byte(v["payload"]), Delay: delay,
			})
		},
	}
}

func (m *Model) isLog(name string) bool {
	return slices.ContainsFunc(m.last.Queues, func(q Queue) bool { return q.Name == name && q.Log })
}
