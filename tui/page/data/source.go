package data

import (
	"context"

	"github.com/prism-data-layer/prism/tui/page"
)

// A Source answers which namespaces there are.
type Source interface {
	page.Shell
	// Namespaces answers those that hold data.
	Namespaces(ctx context.Context) ([]Namespace, error)
	// Model answers the data model of one: "keyvalue", "queue".
	Model(ctx context.Context, namespace string) (string, error)
}

// A Namespace is a row of the list.
type Namespace struct {
	Name, Model, Backend string
	State                string // "active", "degraded", …
	Keys, Bytes          int64
	Known, Estimated     bool // whether Keys and Bytes are
}
