package main

import "testing"

func TestFaultsStayPanics(t *testing.T) {
	e, err := start(lib(t), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop()
	c, err := e.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	defer func() {
		if recover() == nil {
			t.Error("a nil pointer was written through")
		}
	}()
	var nothing *conn
	nothing.engine = e // the library has put the signal's handler to its default meanwhile
}
