//go:build linux

package supervise

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestListTellsOfEveryProjectTheTruth(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"damaged", "empty"} {
		if err := os.MkdirAll(at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(statePath(at("damaged")), []byte(`{"format":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", at("planted")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("stray"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := supervise(t, Options{ID: "running", Root: "/home/me/shop", Dir: at("running"), Services: []Spec{childSpec("app", "sleep", "")}})
	r.ready()
	over, err := Open(Options{ID: "over", Dir: at("over"), Services: []Spec{childSpec("app", "sleep", "")}})
	if err != nil {
		t.Fatal(err)
	}
	over.Close()
	hung := startSupervisor(t, script{Dir: at("hung"), GraceMS: 50, Services: []scriptService{{Name: "app", Mode: "sleep"}}}, newMark())
	hung.hear(t, "ready")
	hung.freeze(t)

	began := time.Now()
	all, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 2*listSilence+patience/6 {
		t.Errorf("took %s", took)
	}
	var ids []string
	by := map[string]Status{}
	for _, st := range all {
		ids, by[st.ID] = append(ids, st.ID), st
	}
	if strings.Join(ids, " ") != "damaged over planted running t" {
		t.Fatalf("got %v", ids)
	}
	if st := by["running"]; !st.Running || !st.Ready || st.Root != "/home/me/shop" || st.Service("app").State != Ready {
		t.Errorf("running: %+v", st)
	}
	if st := by["over"]; st.Running || st.Service("app").State != Stopped {
		t.Errorf("over: %+v", st)
	}
	for id, want := range map[string]string{"damaged": "is damaged", "planted": "symbolic link", "t": "does not answer"} {
		if st := by[id]; st.Running || !strings.Contains(strings.Join(st.Warnings, " "), want) {
			t.Errorf("%s: %+v", id, st)
		}
	}
	if st := by["t"]; st.Supervisor != hung.cmd.Process.Pid || st.Root != "/somewhere" {
		t.Errorf("hung: %+v", st)
	}
}

func TestListOfNothingIsEmpty(t *testing.T) {
	t.Parallel()
	if all, err := List(filepath.Join(t.TempDir(), "dev")); err != nil || len(all) != 0 {
		t.Errorf("got %v, %v", all, err)
	}
}
