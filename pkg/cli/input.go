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

// A ValueArg is a value as a command takes it: an argument, "-" for standard
// input, or a file.
type ValueArg struct {
	Value, File string
	Has         bool // Value was given
}

// Read returns the value. usage says how the command is written.
func (a ValueArg) Read(ios *iostreams.IOStreams, command, usage string) ([]byte, error) {
	switch {
	case a.Has && a.File != "":
		return nil, Usage("leave out VALUE or --file", "the value is given twice")
	case a.File != "":
		return ReadValue(ios, "value", a.File)
	case a.Has && a.Value == "-":
		return ReadValue(ios, "value", "-")
	case a.Has:
		if len(a.Value) > prism.MaxValueBytes {
			return nil, prism.InvalidField("value", "must be at most 1 MiB")
		}
		return []byte(a.Value), nil
	}
	return nil, Usage(usage, "%s needs VALUE", command)
}
