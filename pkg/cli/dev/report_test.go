package dev

import (
	"bytes"
	"encoding/xml"
	"errors"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/supervise"
)

func TestJUnitNamesEachPartAndWhatFailed(t *testing.T) {
	t.Parallel()
	r := report{Project: "shop-abc123", Started: time.Unix(0, 0), TookMS: 1500}
	r.services(supervise.Status{Services: []supervise.ServiceStatus{
		{Name: "redis", State: supervise.Ready, ReadyMS: 120},
		{Name: "migrate", State: supervise.Done},
		{Name: "prismd", State: supervise.CrashLoop, Message: "exit <code> 3", LastLog: []string{"fire\x1b[31m!", "smoke"}},
	}})
	r.command([]string{"go", "test"}, time.Second, errors.New("exit status 1"))
	var b bytes.Buffer
	if err := r.junit(&b); err != nil {
		t.Fatal(err)
	}
	var got junitSuite
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if got.Tests != 4 || got.Failures != 2 || got.Cases[0].Failure != nil || got.Cases[1].Failure != nil || got.Cases[0].Time != 0.12 {
		t.Errorf("got %+v", got)
	}
	if f := got.Cases[2].Failure; f == nil || f.Message != "crash-loop: exit <code> 3" || f.Text != "fire[31m!\nsmoke" {
		t.Errorf("the failure is %+v", f)
	}
	if got.Cases[3].Name != "go test" || got.Cases[3].Failure == nil {
		t.Errorf("the command is %+v", got.Cases[3])
	}
}
