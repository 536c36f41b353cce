package report

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A format is one way to write a report.
type format struct {
	name, extension string
	write           func(*Report, io.Writer) error
}

func formats() []format {
	return []format{
		{"text", ".txt", (*Report).WriteText},
		{"json", ".json", (*Report).WriteJSON},
		{"csv", ".csv", (*Report).WriteCSV},
		{"md", ".md", (*Report).WriteMarkdown},
		{"html", ".html", (*Report).WriteHTML},
		{"svg", ".svg", (*Report).WriteSVG},
		{"junit", ".xml", (*Report).WriteJUnit},
		{"hdr", ".hdr", (*Report).WriteHDR},
		{"prometheus", ".prom", (*Report).WritePrometheus},
	}
}

// Formats are the names that [Report.Write] knows.
func Formats() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return names
}

// Write writes the report in a format.
func (r *Report) Write(w io.Writer, name string) error {
	for _, f := range formats() {
		if f.name == name {
			return f.write(r, w)
		}
	}
	return prism.InvalidField("format", fmt.Sprintf("%q must be one of %s", name, strings.Join(Formats(), ", ")))
}

// FormatOf tells a file's format by its name.
func FormatOf(path string) (string, error) {
	var known []string
	for _, f := range formats() {
		if strings.EqualFold(filepath.Ext(path), f.extension) {
			return f.name, nil
		}
		known = append(known, f.extension)
	}
	return "", prism.InvalidField("report", fmt.Sprintf("%q must end in one of %s, which says its format", path, strings.Join(known, ", ")))
}
