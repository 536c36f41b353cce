package server

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

// openTelemetry makes what the gateway tells of itself. It comes first: what the
// others log is sent too.
func (s *Server) openTelemetry(ctx context.Context) (err error) {
	s.metrics = telemetry.NewMetrics(0)
	c := s.o.Config.Telemetry
	if c.OTLP.Endpoint != "" && c.OTLP.Mode != config.Off {
		s.export, err = telemetry.StartExport(ctx, telemetry.ExportOptions{
			Endpoint: c.OTLP.Endpoint, Version: s.o.Version, Instance: rand.Text(), Metrics: s.metrics, Clock: s.clock, Log: s.log,
		})
		if err != nil {
			return err
		}
		s.log = s.export.Logger(s.log)
	}
	if c.Traces.Mode != config.Off {
		s.traces = telemetry.NewTracer(telemetry.TracerOptions{
			Slow: c.Traces.Slow, Sample: c.Traces.Sample, Clock: s.clock, Export: s.export,
		})
	}
	return nil
}

// lastReport is how long a gateway that stops may take to send what waits.
const lastReport = 2 * time.Second

// stopTelemetry sends what waits.
func (s *Server) stopTelemetry() {
	if s.export == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastReport)
	defer cancel()
	s.export.Stop(ctx)
}
