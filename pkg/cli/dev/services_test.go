package dev

import (
	"slices"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

func TestProgramsOfTheProjectGetAddressesAndWaitForTheGateway(t *testing.T) {
	t.Parallel()
	p := project{Place: config.Place{Root: "/shop"}, own: ownProject(t, "services:\n  - {name: api, command: [./api, -v], dir: cmd, env: {WHO: ann}}\n  - {name: job, command: [job], after: [signoz, api]}\n")}
	pl := &plan{project: p, stacks: &stacks.Plan{}, skipped: []stacks.Skipped{{Name: "signoz"}}}
	pl.specs = []supervise.Spec{{Name: gateway, Listen: []supervise.ListenSpec{{Name: "data", Addr: "127.0.0.1:7"}}}}
	if err := pl.addServices(); err != nil {
		t.Fatal(err)
	}
	api, job := pl.specs[1], pl.specs[2]
	if api.Path != "/shop/cmd/api" || api.Dir != "/shop/cmd" || !slices.Equal(api.Args, []string{"-v"}) || !slices.Equal(api.After, []string{gateway}) {
		t.Errorf("api is %+v", api)
	}
	for _, want := range []string{"PRISM_DATA=127.0.0.1:7", "WHO=ann"} {
		if !slices.Contains(api.Env, want) {
			t.Errorf("api lacks %s: %v", want, api.Env)
		}
	}
	if job.Path != "job" || !slices.Equal(job.After, []string{"api"}) {
		t.Errorf("job is %+v", job)
	}
}

func TestWhatAProgramCannotBeGivenIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"mounts: [\"./data:/data\"]": "nothing is mounted",
	} {
		pl := &plan{project: project{own: ownProject(t, "services:\n  - {name: api, command: [api], "+text+"}\n")}, stacks: &stacks.Plan{}}
		if err := pl.addServices(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}
