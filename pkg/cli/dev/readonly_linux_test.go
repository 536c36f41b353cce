package dev_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/server"
)

// What cannot keep its state starts nothing, and says where it would be.
func TestOnAReadOnlyDiskNothingIsStarted(t *testing.T) {
	if !clitest.OwnMounts(t) {
		return
	}
	r := project(t)
	file := r.Write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\nbackends:\n  - {name: local, driver: pebble}\n")
	clitest.ReadOnly(t, r.Dir)
	before := clitest.Tree(t, r.Dir)
	for _, args := range [][]string{{"up"}, {"up", "--detach"}, {"ci", "--", "true"}} {
		r.Want(1, []string{"error: ", "cause: mkdir /home/ann/.local: read-only file system", "fix: set HOME or XDG_STATE_HOME"}, append([]string{"dev"}, args...)...)
	}
	var out, errOut bytes.Buffer
	code := server.Main([]string{"--config", file}, &out, &errOut, server.Build{Version: "0.1.0", Drivers: all.Drivers()})
	want := "error: cannot make the data folder\n  cause: mkdir " + r.Dir + "/data: read-only file system\n  fix: let data_dir name a folder that can be written to\n"
	if code != 1 || errOut.String() != want {
		t.Errorf("prismd: exit %d\n%s\nwant\n%s", code, errOut.String(), want)
	}
	if after := clitest.Tree(t, r.Dir); !slices.Equal(before, after) {
		t.Errorf("it left\n%q\nwhere there was\n%q", after, before)
	}
}
