package config

import "testing"

func TestAddressesThatClash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b  Address
		clash bool
	}{
		{"127.0.0.1:1", "127.0.0.1:1", true},
		{"127.0.0.1:1", "127.0.0.1:2", false},
		{"0.0.0.0:1", "127.0.0.1:1", true},
		{":1", "10.0.0.1:1", true},
		{"[::]:1", "127.0.0.1:1", true},
		{"localhost:1", "127.0.0.1:1", true},
		{"10.0.0.1:1", "10.0.0.2:1", false},
		{"127.0.0.1:0", "127.0.0.1:0", false}, // auto
		{"nonsense", "nonsense", false},
	} {
		if c.a.clashes(c.b) != c.clash || c.b.clashes(c.a) != c.clash {
			t.Errorf("%s and %s: want %v", c.a, c.b, c.clash)
		}
	}
}

func TestLoopbackIsThisMachineOnly(t *testing.T) {
	t.Parallel()
	for a, want := range map[Address]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "example.com:1": false, "localhost.evil.test:1": false, "x": false,
	} {
		if a.Loopback() != want {
			t.Errorf("%s: want %v", a, want)
		}
	}
}

func TestAutoLetsTheSystemChoose(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Address{"auto": "127.0.0.1:0", "0.0.0.0:auto": "0.0.0.0:0", "[::1]:8980": "[::1]:8980", ":80": ":80"} {
		var a Address
		if f := a.parse(text); f != nil || a != want {
			t.Errorf("%s is %s, %v; want %s", text, a, f, want)
		}
		var again Address
		if f := again.parse(a.String()); f != nil || again != a {
			t.Errorf("%s is written %s", a, a.String())
		}
	}
}
