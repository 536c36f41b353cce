package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocsListTheKeys holds docs/ui.md to the tables.
func TestDocsListTheKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "..", "docs", "ui.md")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(data), "-update -->\n")
	_, tail, ok2 := strings.Cut(rest, "<!-- end of keys -->")
	if !ok1 || !ok2 {
		t.Fatalf("%s has lost its marks", file)
	}
	want := head + "-update -->\n```text\n" + KeyHelp() + "```\n<!-- end of keys -->" + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != want {
		t.Errorf("%s lists other keys than there are (-update writes it anew)", file)
	}
}
