package drain_test

import (
	"os"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

func TestMain(m *testing.M) { os.Exit(clitest.Main(m)) }
