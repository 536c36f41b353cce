package report

import (
	"runtime/debug"
	"testing"
	"time"
)

func TestFiguresKeepTheirMeaningDigits(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		ms(0.00012):              "0.000",
		ms(0.5):                  "0.500",
		ms(12.345):               "12.3",
		ms(1234.5):               "1,234",
		decimal(-1234567.89, 1):  "-1,234,567.9",
		decimal(999, 0):          "999",
		percent(0):               "0.0%",
		percent(100):             "100.0%",
		percent(99.98):           "99.98%",
		percent(99.99999):        ">99.9999%",
		percent(0.00001):         "<0.0001%",
		percent(0.004):           "0.004%",
		bytesOf(1023):            "1023 B",
		bytesOf(1536):            "1.5 KiB",
		bytesOf(5 << 30):         "5.0 GiB",
		seconds(10):              "10 s",
		seconds(1.2345):          "1.23 s",
		plural(1, "retry"):       "1 retry",
		plural(2000, "retry"):    "2,000 retries",
		plural(0, "hedge"):       "0 hedges",
		clean("a\tb\x00c", 10):   "a?b?c",
		clean("abcdef", 3):       "abc...",
		clean("  x \n y", 5):     "x",
		clean("\xff\u202e", 5):   "??",
		shortMs(time.Second / 2): "500",
		shortMs(20000):           "0.02",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestEnvironmentNamesTheMachineAndTheBuild(t *testing.T) {
	t.Parallel()
	if e := Here(); e.OS == "" || e.Arch == "" || e.Cores < 1 || e.Go == "" {
		t.Errorf("got %+v", e)
	}
	if got := cpuModel("processor : 0\nmodel name\t: Some CPU @ 2 GHz\n"); got != "Some CPU @ 2 GHz" {
		t.Errorf("model %q", got)
	}
	if got := cpuModel("nothing"); got != "" {
		t.Errorf("model %q of nothing", got)
	}
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}}
	info.Main.Version = "v1.2.3"
	if v, c := build(info); v != "v1.2.3" || c != "abc-dirty" {
		t.Errorf("version %q commit %q", v, c)
	}
}
