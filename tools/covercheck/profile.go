package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// A block is a run of statements as a coverprofile names it.
type block struct {
	file string // import path and file name
	line int    // where it begins
	span string // the whole place, to tell blocks apart
}

// result is how many statements a block has and whether any test ran them.
type result struct {
	statements int
	covered    bool
}

// readProfiles joins profiles: a block that any of them covers is covered.
func readProfiles(files []string) (map[block]result, error) {
	blocks := map[block]result{}
	for _, name := range files {
		if err := readProfile(name, blocks); err != nil {
			return nil, err
		}
	}
	return blocks, nil
}

func readProfile(name string, blocks map[block]result) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if n == 1 {
			if !strings.HasPrefix(line, "mode: ") {
				return fmt.Errorf("%s:1: not a coverprofile", name)
			}
			continue
		}
		b, r, err := parseBlock(line)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
		r.covered = r.covered || blocks[b].covered
		blocks[b] = r
	}
	return lines.Err()
}

// parseBlock reads "path/file.go:1.2,3.4 STATEMENTS COUNT".
func parseBlock(line string) (block, result, error) {
	var b block
	var r result
	var count int64
	at := strings.LastIndexByte(line, ':')
	if at < 0 {
		return b, r, fmt.Errorf("no block: %q", line)
	}
	b.file = line[:at]
	if _, err := fmt.Sscanf(line[at+1:], "%s %d %d", &b.span, &r.statements, &count); err != nil {
		return b, r, fmt.Errorf("no block: %q", line)
	}
	if _, err := fmt.Sscanf(b.span, "%d.", &b.line); err != nil {
		return b, r, fmt.Errorf("no place: %q", line)
	}
	r.covered = count > 0
	return b, r, nil
}
