package clickhouse

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestEachErrorOfAServerHasAReasonAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := &store{name: "ch", options: options{Username: "gateway", Database: "prism", PoolSize: 3}}
	over, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for name, c := range map[string]struct {
		err    error
		ctx    context.Context
		reason prism.Reason
		says   string
	}{
		"wrong password":    {exception(516), nil, prism.ReasonFailedPrecond, "password_file"},
		"wrong password 18": {exception(193), nil, prism.ReasonFailedPrecond, "password_file"},
		"no database":       {exception(81), nil, prism.ReasonFailedPrecond, "CREATE DATABASE `prism`"},
		"no table":          {exception(60), nil, prism.ReasonFailedPrecond, "the next call makes it again"},
		"read-only user":    {exception(164), nil, prism.ReasonFailedPrecond, "read-only"},
		"read-only replica": {exception(242), nil, prism.ReasonFailedPrecond, "system.replicas"},
		"too few rights":    {exception(497), nil, prism.ReasonFailedPrecond, "GRANT ALL ON `prism`.* TO `gateway`"},
		"full memory":       {exception(241), nil, prism.ReasonQuotaExceeded, "max_memory_usage"},
		"too many queries":  {exception(202), nil, prism.ReasonOverloaded, "max_concurrent_queries"},
		"too many parts":    {exception(252), nil, prism.ReasonOverloaded, "larger batches"},
		"full disk":         {exception(243), nil, prism.ReasonDiskFull, "disk is full"},
		"server's timeout":  {exception(159), nil, prism.ReasonDeadlineExceeded, "in time"},
		"no other replica":  {exception(285), nil, prism.ReasonBackendUnavailable, "cluster"},
		"killed":            {exception(394), nil, prism.ReasonBackendUnavailable, "ended the query"},
		"a bug":             {exception(62), nil, prism.ReasonInternal, ""},
		"cut off":           {io.ErrUnexpectedEOF, nil, prism.ReasonBackendUnavailable, "does not answer"},
		"cut off in a block": {
			errors.Join(errLost, io.EOF), nil, prism.ReasonBackendUnavailable, "whether the events are stored is not known",
		},
		// The caller has time left: it was the driver's own patience that ended.
		"the library's": {context.Canceled, nil, prism.ReasonBackendUnavailable, "does not answer"},
		"our timeout":   {context.DeadlineExceeded, nil, prism.ReasonBackendUnavailable, "does not answer"},
		"a dial hangs":  {unreached(clickhouse.ErrAcquireConnTimeout), nil, prism.ReasonBackendUnavailable, "does not answer"},
		"no connection": {clickhouse.ErrAcquireConnTimeout, nil, prism.ReasonOverloaded, "all 3 connections are busy"},
		"deadline":      {io.EOF, over, prism.ReasonDeadlineExceeded, "deadline"},
	} {
		ctx := c.ctx
		if ctx == nil {
			ctx = t.Context()
		}
		err := s.classify(ctx, c.err)
		if !errors.Is(err, c.reason) || !strings.Contains(prism.From(err).Message, c.says) {
			t.Errorf("%s: got %v %q, want %v that says %q", name, prism.From(err).Reason, err, c.reason, c.says)
		}
		if m := prism.From(err).Message; len(m) > 200 {
			t.Errorf("%s: %d bytes are too many: %s", name, len(m), m)
		}
	}
	if prism.From(s.classify(t.Context(), exception(252))).RetryAfter() < time.Second {
		t.Error("too many parts are no reason to wait")
	}
}

func exception(code int32) error { return &clickhouse.Exception{Code: code, Message: "of the server"} }
