package tuitest

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/page"
)

// Env is what a page is given that is looked at alone, without the root.
func Env() page.Env {
	return page.Env{Tasks: task.NewRunner(context.Background(), clock.NewFake(Noon())).Still(), Refresh: time.Second, Command: "prismctl"}
}
