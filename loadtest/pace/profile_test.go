package pace_test

import (
	"math"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/loadtest/pace"
)

func TestProfilesHaveTheirShape(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	for name, c := range map[string]struct {
		profile pace.Profile
		total   uint64
		rates   map[time.Duration]float64 // at offsets
		text    string
	}{
		"constant": {pace.Profile{Rate: 100, For: minute}, 6000, map[time.Duration]float64{0: 100, 59 * time.Second: 100}, "constant 100/s"},
		"soak":     {pace.Profile{Kind: "soak", Rate: 10, For: minute}, 600, nil, "soak 10/s"},
		"ramp": {
			pace.Profile{Kind: "ramp", Rate: 100, For: minute, Hold: 20 * time.Second},
			4000,
			map[time.Duration]float64{0: 0, 20 * time.Second: 50, 45 * time.Second: 100},
			"ramp: 0/s to 100/s in 40s, 100/s for 20s",
		},
		"step": {
			pace.Profile{Kind: "step", Rate: 100, Steps: 4, For: minute},
			3750,
			map[time.Duration]float64{0: 25, 20 * time.Second: 50, 59 * time.Second: 100},
			"step: 25/s for 15s, 50/s for 15s, 75/s for 15s, 100/s for 15s",
		},
		"spike": {
			pace.Profile{Kind: "spike", Rate: 10, Peak: 1000, Hold: 6 * time.Second, For: minute},
			6540,
			map[time.Duration]float64{26 * time.Second: 10, 30 * time.Second: 1000, 34 * time.Second: 10},
			"spike: 10/s for 27s, 1000/s for 6s, 10/s for 27s",
		},
		"burst": {
			pace.Profile{Kind: "burst", Rate: 500, Hold: 10 * time.Second, Every: 25 * time.Second, For: minute},
			15_000,
			map[time.Duration]float64{5 * time.Second: 500, 20 * time.Second: 0, 26 * time.Second: 500, 55 * time.Second: 500},
			"burst: 500/s for 10s, 0/s for 15s, 500/s for 10s, 0/s for 15s, 500/s for 10s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := c.profile.Schedule()
			if err != nil {
				t.Fatal(err)
			}
			if s.Total() != c.total || s.Length() != minute || s.String() != c.text {
				t.Errorf("%d requests in %s: %s; want %d in a minute: %s", s.Total(), s.Length(), s, c.total, c.text)
			}
			for at, want := range c.rates {
				if got := s.Rate(at); math.Abs(got-want) > 1e-9 {
					t.Errorf("at %s the rate is %g, want %g", at, got, want)
				}
			}
			var last time.Duration
			for n := range s.Total() {
				due, ok := s.At(n)
				if !ok || due < last || s.Rate(due) == 0 && n > 0 {
					t.Fatalf("request %d is due at %s, after one at %s, where the rate is %g", n, due, last, s.Rate(due))
				}
				last = due
			}
		})
	}
}

func TestWrongProfilesAreRefused(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]pace.Profile{
		"no such kind":     {Kind: "wave", Rate: 1, For: time.Second},
		"no time":          {Rate: 1},
		"too long a hold":  {Kind: "ramp", Rate: 1, For: time.Second, Hold: 2 * time.Second},
		"burst in a burst": {Kind: "burst", Rate: 9, For: time.Second, Hold: 500 * time.Millisecond, Every: 500 * time.Millisecond},
		"too many bursts":  {Kind: "burst", Rate: 9, For: time.Hour, Every: time.Second},
		"too fast":         {Kind: "spike", Rate: pace.MaxRate, For: time.Second},
	} {
		if s, err := p.Schedule(); err == nil {
			t.Errorf("%s: got %s", name, s)
		}
	}
}
