package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// OpenInput opens a file to read, "-" for standard input. A terminal as
// standard input is refused: nobody would know that they have to type.
func OpenInput(ios *iostreams.IOStreams, path string) (io.ReadCloser, error) {
	if path == "-" {
		if ios.IsTTY(iostreams.In) {
			return nil, Usage("name a file, or pipe something in", "standard input is a terminal")
		}
		return io.NopCloser(ios.In), nil
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, WithFix(prism.NotFound("file", path), "name a file that is there, or - for standard input")
	case err != nil:
		return nil, &Failure{Err: err, Exit: ExitFailure}
	}
	return f, nil
}

// ReadValue reads no more than a value may have, and one byte to tell.
func ReadValue(ios *iostreams.IOStreams, field, path string) ([]byte, error) {
	r, err := OpenInput(ios, path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	v, err := io.ReadAll(io.LimitReader(r, prism.MaxValueBytes+1))
	if err != nil {
		return nil, &Failure{Err: err, Exit: ExitFailure}
	}
	if len(v) > prism.MaxValueBytes {
		return nil, prism.InvalidField(field, "must be at most 1 MiB")
	}
	return v, nil
}
