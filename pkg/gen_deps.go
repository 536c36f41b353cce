//go:build never

package pkg

import (
	_ "charm.land/bubbletea/v2"
	_ "charm.land/lipgloss/v2"
	_ "github.com/HdrHistogram/hdrhistogram-go"
	_ "github.com/anishathalye/porcupine"
	_ "github.com/charmbracelet/x/vt"
	_ "github.com/cockroachdb/pebble/v2"
	_ "github.com/creack/pty"
	_ "github.com/goccy/go-yaml"
	_ "github.com/itchyny/gojq"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/puzpuzpuz/xsync/v4"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/spf13/cobra"
	_ "go.uber.org/goleak"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/grpc"
	_ "google.golang.org/protobuf/proto"
	_ "google.golang.org/protobuf/cmd/protoc-gen-go"
	_ "github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto"
	_ "modernc.org/sqlite"
	_ "pgregory.net/rapid"
	_ "golang.org/x/sys/unix"
)
