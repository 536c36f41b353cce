package report

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// An Environment is where the run was made. Extra is the caller's: versions of
// the gateway and its backends, the hash of the configuration.
type Environment struct {
	Host       string            `json:"host,omitempty"`
	OS         string            `json:"os"`
	Arch       string            `json:"arch"`
	CPU        string            `json:"cpu,omitempty"`
	Cores      int               `json:"cores"`
	GOMAXPROCS int               `json:"gomaxprocs"`
	Go         string            `json:"go"`
	Version    string            `json:"version,omitempty"`
	Commit     string            `json:"commit,omitempty"`
	Extra      map[string]string `json:"extra,omitempty"`
}

// Here describes this machine and this program.
func Here() Environment {
	e := Environment{
		OS:         runtime.GOOS,
		Arch:       runtime.GOARCH,
		Cores:      runtime.NumCPU(),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
		Go:         runtime.Version(),
	}
	e.Host, _ = os.Hostname()
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		e.CPU = cpuModel(string(b))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		e.Version, e.Commit = build(info)
	}
	return e
}

func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// build finds the version and the commit; a commit of a tree with changes in
// it is marked, because it cannot be run again.
func build(info *debug.BuildInfo) (version, commit string) {
	if info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	var dirty bool
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if commit != "" && dirty {
		commit += "-dirty"
	}
	return version, commit
}
