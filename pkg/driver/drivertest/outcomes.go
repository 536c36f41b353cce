package drivertest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
)

// An outcomeLog gathers outcomes and adds them to the file of MatrixOut.
type outcomeLog struct {
	mu       sync.Mutex
	outcomes []Outcome
}

func (l *outcomeLog) add(o Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes = append(l.outcomes, o)
}

// flush writes all lines at once: several test programs may share the file.
func (l *outcomeLog) flush() error {
	path := os.Getenv(MatrixOut)
	if path == "" {
		return nil
	}
	var lines []byte
	for _, o := range l.outcomes {
		line, err := json.Marshal(o)
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// ReadOutcomes reads the JSON lines that Run wrote.
func ReadOutcomes(r io.Reader) ([]Outcome, error) {
	var all []Outcome
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var o Outcome
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("outcomes, line %d: %w", n, err)
		}
		all = append(all, o)
	}
	return all, lines.Err()
}
