package report

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// WriteJSON writes the report as one indented JSON document.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// ReadJSON reads a report that WriteJSON wrote. Fields of a newer program are
// passed over.
func ReadJSON(in io.Reader) (*Report, error) {
	var r Report
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return nil, prism.New(prism.ReasonInvalidArgument, "not a load report").WithCause(err)
	}
	if r.APIVersion != APIVersion || r.Kind != Kind {
		return nil, prism.New(prism.ReasonInvalidArgument, "not a load report: apiVersion %q, kind %q", CleanMessage(r.APIVersion), CleanMessage(r.Kind))
	}
	return &r, nil
}
