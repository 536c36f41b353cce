//go:build unix

package probe

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// postgres starts a PostgreSQL that asks for a password in its own way, and
// gives its address.
func postgres(t *testing.T, password string) string {
	t.Helper()
	bin := postgresBin(t)
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	var who *syscall.SysProcAttr
	if os.Getuid() == 0 { // it refuses to run as root
		who = nobody(t, dir, file)
	}
	data := filepath.Join(dir, "data")
	init := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "prism", "--pwfile", file, "-A", "scram-sha-256", "--no-sync", "-E", "UTF8")
	init.SysProcAttr, init.Dir = who, dir
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port := freePort(t)
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-h", "127.0.0.1", "-k", dir, "-F", "-c", "shared_buffers=8MB", "-c", "max_connections=10")
	var log bytes.Buffer
	server.SysProcAttr, server.Dir, server.Stderr = who, dir, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGINT) //nolint:errcheck // it may have ended
		server.Wait()                         //nolint:errcheck // by a signal
	})
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func postgresBin(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") //nolint:errcheck // the pattern is right
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		const missing = "no PostgreSQL (apt-get install postgresql)"
		if os.Getenv("PRISM_TEST_REQUIRE") == "all" {
			t.Fatalf("cannot run here: %s", missing)
		}
		t.Skipf("NOT TESTED: %s", missing)
	}
	return filepath.Dir(found[0])
}

// nobody is a user without rights, who gets the folder.
func nobody(t *testing.T, paths ...string) *syscall.SysProcAttr {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if uidErr != nil || gidErr != nil {
		t.Fatal(uidErr, gidErr)
	}
	for _, p := range paths {
		if err := os.Chown(p, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func TestPostgresIsAskedWithItsPassword(t *testing.T) {
	t.Parallel()
	addr := postgres(t, "battery-staple")
	q := Question{Kind: "postgres", Addr: addr, Options: map[string]string{"username": "prism", "database": "postgres", "password_file": secretFile(t, "battery-staple")}}
	// It is asked as a supervisor asks: again and again until it answers.
	err := q.Ask(t.Context())
	for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); err = q.Ask(t.Context()) {
		<-clock.Real().NewTimer(50 * time.Millisecond).C
	}
	passes(t, q)
	q.Options["password_file"] = secretFile(t, "wrong-horse")
	refuses(t, q, `it answers "password authentication failed for user \"prism\"" (28P01)`)
	q.Options["password_file"], q.Options["database"] = secretFile(t, "battery-staple"), "none"
	refuses(t, q, `it answers "database \"none\" does not exist" (3D000)`)
}
