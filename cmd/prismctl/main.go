// Prismctl is the operator's toolkit of Prism.
package main

import (
	"os"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/root"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// Set by the linker; see the Makefile.
var (
	version = "dev"
	commit  = ""
)

func main() {
	if code, ran := supervise.Reexec(os.Args); ran {
		os.Exit(code)
	}
	os.Exit(root.Process(cli.Build{Version: version, Commit: commit}))
}
