// Prismd is the Prism data gateway.
package main

import (
	"os"

	"github.com/prism-data-layer/prism/pkg/bench"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/server"
)

// Set by the linker; see the Makefile.
var (
	version = "dev"
	commit  = ""
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "bench" {
		os.Exit(bench.Main(os.Args[2:], os.Stdout, os.Stderr, all.Drivers(), version))
	}
	os.Exit(server.Main(os.Args[1:], os.Stdout, os.Stderr, server.Build{Version: version, Commit: commit, Drivers: all.Drivers()}))
}
