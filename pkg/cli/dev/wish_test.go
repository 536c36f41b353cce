package dev

import (
	"reflect"
	"slices"
	"testing"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
)

// ownProject reads a .prism.yaml.
func ownProject(t *testing.T, text string) *config.Project {
	t.Helper()
	own, err := config.ParseProject(config.ProjectFile, []byte("apiVersion: prism/v1\n"+text), config.Load{})
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// wished is the wish of a command line.
func wished(t *testing.T, own *config.Project, args ...string) (*wish, error) {
	t.Helper()
	w := new(wish)
	cmd := &cobra.Command{Use: "up"}
	check := w.addFlags(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		return nil, cli.UnknownFlag(cmd, err)
	}
	return w, check(own)
}

func TestFlagsAddToTheProjectsFileAndAProfileTakesItsPlace(t *testing.T) {
	t.Parallel()
	own := ownProject(t, "with: [redis]\nprofiles: {mine: [dex], redis: [redis, minio]}\nports: {stacks: {redis: 7000, nats: 7001}}\n")
	for _, c := range []struct {
		own  *config.Project
		args []string
		want []string
	}{
		{nil, nil, nil},
		{own, nil, []string{"redis"}},
		{own, []string{"--with", "nats,redis"}, []string{"redis", "nats"}},
		{own, []string{"--profile", "core"}, nil},
		{own, []string{"--profile", "mine", "--with", "nats"}, []string{"dex", "nats"}},
		{own, []string{"--profile", "redis"}, []string{"redis", "minio"}},
		{nil, []string{"--profile", "redis"}, []string{"redis"}},
	} {
		w, err := wished(t, c.own, c.args...)
		if err != nil {
			t.Errorf("%v: %v", c.args, err)
			continue
		}
		if got := w.names(c.own); !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.args, got, c.want)
		}
	}
	w, err := wished(t, own, "--port", "redis=7100", "--port", "prismd.data=7200")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := w.stackPorts(own), map[string]int{"redis": 7100, "nats": 7001}; !reflect.DeepEqual(got, want) || w.Ports["data"] != 7200 {
		t.Errorf("got %v and %v, want %v", got, w.Ports, want)
	}
}

func TestWrongWishesAreUsageErrors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--with", "oracle"},
		{"--profile", "everything"},
		{"--form", "docker"},
		{"--port", "redis"},
		{"--port", "redis=0"},
		{"--port", "redis=99999"},
		{"--port", "oracle=1"},
		{"--auto-ports", "--port-offset", "1"},
	} {
		if _, err := wished(t, nil, args...); cli.Code(err) != cli.ExitUsage {
			t.Errorf("%v: got %v, want a usage error", args, err)
		}
	}
}

func TestAWishIsSaidAgainInFlags(t *testing.T) {
	t.Parallel()
	args := []string{"--with", "redis", "--with", "nats", "--profile", "core", "--form", "native", "--port", "data=9980", "--port", "redis=7000", "--port-offset=3"}
	w, err := wished(t, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.args(); !slices.Equal(got, args) {
		t.Errorf("got %v, want %v", got, args)
	}
	p := project{state: t.TempDir()}
	if last, err := p.lastWish(); err != nil || !reflect.DeepEqual(last, wish{}) {
		t.Errorf("without one: %+v, %v", last, err)
	}
	if err := p.saveWish(*w); err != nil {
		t.Fatal(err)
	}
	if last, err := p.lastWish(); err != nil || !slices.Equal(last.args(), args) {
		t.Errorf("kept: %+v, %v", last, err)
	}
}
