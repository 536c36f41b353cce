package queue

import (
	"strconv"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// A point is a place in every partition of a log, as a flag names it.
type point struct {
	earliest, latest bool
	offset           *int64
	time             time.Time
}

// parsePoint reads earliest, latest, an offset, or a time.
func parsePoint(flag, s string, now time.Time) (p point, err error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		return point{offset: &n}, nil
	}
	switch s {
	case "", "earliest":
		return point{earliest: true}, nil
	case "latest":
		return point{latest: true}, nil
	}
	if p.time, err = cli.ParseMoment(s, now); err != nil {
		return p, cli.Usage("--"+flag+" earliest, latest, an offset, how long ago (90m) or a time in RFC 3339", "%q is no place in a log", s)
	}
	return p, nil
}

func (p point) proto() *queuev1.StartPosition {
	switch {
	case p.latest:
		return &queuev1.StartPosition{Start: &queuev1.StartPosition_Latest{Latest: true}}
	case p.offset != nil:
		return &queuev1.StartPosition{Start: &queuev1.StartPosition_Offset{Offset: *p.offset}}
	case !p.time.IsZero():
		return &queuev1.StartPosition{Start: &queuev1.StartPosition_TimeMs{TimeMs: p.time.UnixMilli()}}
	}
	return &queuev1.StartPosition{Start: &queuev1.StartPosition_Earliest{Earliest: true}}
}

// in is the offset of the point in a partition; a time is looked for from the
// earliest.
func (p point) in(part *queuev1.PartitionInfo) int64 {
	switch {
	case p.latest:
		return part.GetLatestOffset()
	case p.offset != nil:
		return min(max(*p.offset, part.GetEarliestOffset()), part.GetLatestOffset())
	}
	return part.GetEarliestOffset()
}

// words is the point in a sentence.
func (p point) words() string {
	switch {
	case p.latest:
		return "the latest message"
	case p.offset != nil:
		return "offset " + strconv.FormatInt(*p.offset, 10)
	case !p.time.IsZero():
		return p.time.UTC().Format(time.RFC3339)
	}
	return "the earliest message"
}
