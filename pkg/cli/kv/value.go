package kv

import (
	b64 "encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func base64(b []byte) string { return b64.StdEncoding.EncodeToString(b) }

// open opens a file to read, "-" for standard input. A terminal as standard
// input is refused: nobody would know that they have to type.
func open(ios *iostreams.IOStreams, path string) (io.ReadCloser, error) {
	if path == "-" {
		if ios.IsTTY(iostreams.In) {
			return nil, cli.Usage("name a file, or pipe something in", "standard input is a terminal")
		}
		return io.NopCloser(ios.In), nil
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, cli.WithFix(prism.NotFound("file", path), "name a file that is there, or - for standard input")
	case err != nil:
		return nil, &cli.Failure{Err: err, Exit: cli.ExitFailure}
	}
	return f, nil
}

// readValue reads no more than a value may have, and one byte to tell.
func readValue(ios *iostreams.IOStreams, path string) ([]byte, error) {
	r, err := open(ios, path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	v, err := io.ReadAll(io.LimitReader(r, prism.MaxValueBytes+1))
	if err != nil {
		return nil, &cli.Failure{Err: err, Exit: cli.ExitFailure}
	}
	if len(v) > prism.MaxValueBytes {
		return nil, prism.InvalidField("value", "must be at most 1 MiB")
	}
	return v, nil
}
