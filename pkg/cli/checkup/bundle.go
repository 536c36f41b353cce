package checkup

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// MostBytes bounds a part of a bundle.
const MostBytes = 4 << 20

// A Part is a file of a bundle. Read gives nil for one that is not there.
type Part struct {
	Name string
	Read func(context.Context) ([]byte, error)
}

// Bundle writes a zip file for a bug report, without secrets, and prints the
// names of its parts. A file that is there already is left alone.
func Bundle(ctx context.Context, ios *iostreams.IOStreams, file string, hide *Redactor, parts []Part) error {
	if _, err := os.Lstat(file); err == nil {
		return cli.WithFix(prism.New(prism.ReasonAlreadyExists, "%s is there already", file), "name another file, or remove it")
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	var names []string
	for _, part := range parts {
		text, err := part.Read(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil { // that it cannot be had is worth knowing too
			text = []byte(err.Error() + "\n")
			part.Name += ".error"
		}
		if text == nil {
			continue
		}
		w, err := z.Create(part.Name)
		if err != nil {
			return err
		}
		if _, err := w.Write(hide.Clean(text)); err != nil {
			return err
		}
		names = append(names, part.Name)
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := writeNew(file, b.Bytes()); err != nil {
		return err
	}
	for _, name := range names {
		fmt.Fprintln(ios.Out, name)
	}
	fmt.Fprintf(ios.ErrOut, "wrote %s (%s); %s known here were taken out\n", iostreams.Escape(file), size(uint64(b.Len())), cli.Plural(hide.Known(), "secret"))
	return nil
}

// writeNew makes a file for its owner's eyes only.
func writeNew(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Close()
	}
	if err != nil {
		os.Remove(file)
	}
	return err
}

// ReadIf reads a file; one that is not there is nil.
func ReadIf(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MostBytes))
}

// JSON is v as the text of a part.
func JSON(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return append(text, '\n'), err
}
