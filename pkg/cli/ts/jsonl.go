package ts

import (
	"bytes"
	b64 "encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/prism-data-layer/prism/pkg/client"
)

// A jsonReader reads events from JSON lines, as ts query prints them.
type jsonReader struct {
	lines *lines
	o     *fileOptions
}

// A record is a line. Names that it does not have are refused: a slip would lose
// data without a word.
type record struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Time       json.RawMessage    `json:"time"`
	Type       *string            `json:"type"`
	Source     *string            `json:"source"`
	ID         *string            `json:"id"`
	Dimensions map[string]string  `json:"dimensions"`
	Metrics    map[string]float64 `json:"metrics"`
	Payload    *string            `json:"payload"`
	Base64     *string            `json:"payload_base64"`
}

func (r *jsonReader) at() int { return r.lines.number }

func (r *jsonReader) next(m *client.Measurement) error {
	for {
		line, err := r.lines.next()
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := r.parse(line, m); err != nil {
			return wrongLine{err}
		}
		return nil
	}
}

func (r *jsonReader) parse(line []byte, m *client.Measurement) (err error) {
	var x record
	if err := decode(line, &x); err != nil {
		return err
	}
	*m = client.Measurement{Type: r.o.Type, Source: r.o.Source, Dimensions: x.Dimensions, Metrics: x.Metrics}
	if m.Time, err = r.o.unit.parseTime(bytes.Trim(x.Time, `"`)); err != nil {
		return err
	}
	for _, field := range []struct{ from, to *string }{{x.Type, &m.Type}, {x.Source, &m.Source}, {x.ID, &m.ID}} {
		if field.from != nil && *field.from != "" {
			*field.to = *field.from
		}
	}
	for name, v := range m.Metrics {
		if math.IsInf(v, 0) {
			return fmt.Errorf("%s is not a finite number", name)
		}
	}
	switch {
	case x.Payload != nil && x.Base64 != nil:
		return errors.New(`"payload" and "payload_base64" are both there`)
	case x.Payload != nil:
		m.Payload = []byte(*x.Payload)
	case x.Base64 != nil:
		if m.Payload, err = b64.StdEncoding.DecodeString(*x.Base64); err != nil {
			return errors.New(`"payload_base64" is not base64`)
		}
	}
	return nil
}

// decode reads one object and nothing else.
func decode(line []byte, x *record) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(x); err != nil {
		return plainJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}

// plainJSON says what is wrong without the words of Go's decoder.
func plainJSON(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return fmt.Errorf("%s must not be a %s", kind.Field, kind.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("the field %s is not known: it is time, type, source, id, dimensions, metrics, payload or payload_base64", name)
	}
	return errors.New("not a JSON object on one line")
}
