module github.com/prism-data-layer/prism

go 1.26

require (
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261026165753-2ffab32bce7e
	github.com/planetscale/vtprotobuf v0.6.1-0.20240319094008-0393e58bdf10
	github.com/cockroachdb/pebble/v2 v2.1.7
	modernc.org/sqlite v1.61.1
	github.com/goccy/go-yaml v1.19.2
	github.com/itchyny/gojq v0.12.20
	github.com/prometheus/client_golang v1.25.0
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/rogpeppe/go-internal v1.16.0
	pgregory.net/rapid v1.3.0
	go.uber.org/goleak v1.3.0
	github.com/anishathalye/porcupine v1.3.1
	github.com/spf13/cobra v1.10.2
	charm.land/bubbletea/v2 v2.1.1
	charm.land/lipgloss/v2 v2.0.6
	github.com/creack/pty v1.1.24
	golang.org/x/sys v0.38.0
)
