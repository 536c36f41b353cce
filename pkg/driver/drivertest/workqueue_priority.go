package drivertest

import (
	"fmt"
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
)

var queuePriorityPromises = []promise{
	{"the highest priority goes first, and the oldest within it", testPriority, ""},
	{"a message that comes back takes its place by priority and age", testPriorityBack, ""},
	{"a message with a key never overtakes one of its key", testPriorityKey, ""},
	{"Priorities counts the ready messages of each priority", testPriorities, ""},
	{"Peek lists what is ready by priority, page by page", testPriorityPeek, ""},
	{"priorities outlive a restart", testPriorityReopen, "reopen"},
}

func (t *T) urgent(priority int, payloads ...string) {
	t.Helper()
	messages := keyed("", payloads...)
	for i := range messages {
		messages[i].Priority = priority
	}
	t.send(messages...)
}

func testPriority(t *T) {
	t.queue()
	t.urgent(0, "0a")
	t.urgent(9, "9a")
	t.urgent(5, "5a", "5b")
	t.urgent(9, "9b")
	t.urgent(0, "0b")
	if d := t.receivesOne("9a"); d.Priority != 9 {
		t.Errorf("a message of priority 9 came with %d", d.Priority)
	}
	t.urgent(7, "7a")
	t.receives("9b", "7a", "5a", "5b", "0a", "0b")
}

func testPriorityBack(t *T) {
	t.queue()
	t.urgent(3, "3a", "3b")
	t.urgent(1, "1a")
	t.briefly(3)
	t.urgent(1, "1b")
	t.urgent(3, "3c")
	t.urgent(2, "2a")
	t.passed()
	t.receives("3a", "3b", "3c", "2a", "1a", "1b")
}

func testPriorityKey(t *T) {
	t.queue()
	first := keyed("k", "k1", "k2")
	first[1].Priority = 9
	t.send(first...)
	t.urgent(5, "5a")
	d := t.receives("5a", "k1")
	t.ack(d[1])
	t.urgent(8, "8a")
	t.receives("k2", "8a")
}

func testPriorities(t *T) {
	t.queue()
	t.urgent(0, "a", "b", "c")
	t.urgent(4, "d")
	t.urgent(9, "e", "f")
	t.receivesOne("e")
	got, err := t.set().QueuePriority.Priorities(t.Ctx, t.namespace(), queueName)
	t.must(err)
	if want := []int64{3, 0, 0, 0, 1, 0, 0, 0, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("Priorities are %d, want %d", got, want)
	}
}

func testPriorityPeek(t *T) {
	t.queue()
	t.urgent(1, "1a", "1b")
	t.urgent(8, "8a", "8b")
	t.peeks(driver.QueueReady, "8a", "8b", "1a", "1b")
	var got []string
	for token := []byte(nil); len(got) < 5; {
		page, err := t.set().Queue.Peek(t.Ctx, t.namespace(), queueName, driver.QueuePeek{State: driver.QueueReady, Limit: 1, Token: token})
		t.must(err)
		for _, m := range page.Messages {
			got = append(got, fmt.Sprintf("%s/%d", m.Payload, m.Priority))
		}
		if token = page.Next; token == nil {
			break
		}
	}
	if want := []string{"8a/8", "8b/8", "1a/1", "1b/1"}; !slices.Equal(got, want) {
		t.Errorf("the pages are %q, want %q", got, want)
	}
}

func testPriorityReopen(t *T) {
	t.queue()
	t.urgent(1, "1a")
	t.urgent(8, "8a", "8b")
	t.briefly(1)
	t.passed()
	t.reopen()
	t.receives("8a", "8b", "1a")
}
