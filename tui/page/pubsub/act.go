package pubsub

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
)

// The actions of the page.
const (
	actPattern keys.Action = "pubsub-pattern"
	actPublish keys.Action = "pubsub-publish"
	actClear   keys.Action = "pubsub-clear"
)

// Keys is what keys do on the page.
func (m *Model) Keys() keys.Table {
	return append(keys.Table{
		{Action: actPattern, Keys: []string{"f"}, Label: "pattern", Help: "listen to the topics that a pattern covers: orders.*, orders.>"},
		{Action: actClear, Keys: []string{"z"}, Label: "clear", Help: "forget the events that are shown"},
		{Action: actPublish, Keys: []string{"n"}, Label: "publish", Help: "publish an event", Changes: true},
	}, m.Split.Keys()...)
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	switch a {
	case actPattern:
		return page.Do(page.Form{
			Title: "Listen in " + text.Clean(m.namespace), Verb: "Listen",
			Fields:  []page.Field{{Name: "pattern", Label: "Pattern", Required: true, Value: m.shown, Help: "* is one word, > is all that follow"}},
			Command: func(v map[string]string) string { return m.command("tail " + text.Quote(v["pattern"])) },
			Do: func(_ context.Context, v map[string]string, _ func(string)) (string, error) {
				m.pattern.Set(v["pattern"])
				return "", nil
			},
		})
	case actClear:
		m.held, m.count, m.mark = nil, 0, m.stream.Dropped()
		m.came(nil)
		return m.Follow()
	case actPublish:
		return page.Do(m.publish())
	case keys.Pause:
		cmd, _ := m.stream.Do(a) // who subscribes goes on being asked
		m.say()
		return cmd
	case keys.Refresh:
		if m.stream.Over() || m.stream.Feed().Err() != nil {
			return tea.Batch(m.Split.Do(a), m.stream.Start())
		}
	}
	return m.Split.Do(a)
}

func (m *Model) publish() page.Form {
	const yes, no = "yes", "no"
	return page.Form{
		Title: "Publish an event", Verb: "Publish",
		Fields: []page.Field{
			{Name: "topic", Label: "Topic", Required: true, Help: "words with dots between them: orders.created"},
			{Name: "payload", Label: "Payload", Help: "as text; bytes and files: prismctl pubsub publish"},
			{Name: "persistent", Label: "Persistent", Value: no, Options: []string{no, yes}, Help: "keep it for durable subscriptions and replays"},
		},
		Command: func(v map[string]string) string {
			words := "publish " + text.Quote(v["topic"]) + " " + text.Quote(v["payload"])
			if v["persistent"] == yes {
				words += " --persistent"
			}
			return m.command(words)
		},
		Do: func(ctx context.Context, v map[string]string, _ func(string)) (string, error) {
			return m.source.Publish(ctx, m.namespace, v["topic"], []byte(v["payload"]), v["persistent"] == yes)
		},
	}
}
