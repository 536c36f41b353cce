package ui

import (
	"context"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// editor makes the command that edits a file, as the environment names it. What
// it names may have arguments: EDITOR="code --wait".
func editor(env func(string) string) func(file string) *exec.Cmd {
	words := strings.Fields(firstOf(env("VISUAL"), env("EDITOR")))
	if len(words) == 0 {
		words = []string{"vi"}
		if runtime.GOOS == "windows" {
			words = []string{"notepad"}
		}
	}
	return func(file string) *exec.Cmd {
		return exec.Command(words[0], append(words[1:len(words):len(words)], file)...)
	}
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// copyLimit is how long this machine's clipboard may take.
const copyLimit = 2 * time.Second

// clipboard puts text on this machine's clipboard by the program that it has
// for that; nil: it has none, or the person sits at another machine.
func clipboard(ios *iostreams.IOStreams, find func(string) (string, error)) func(string) {
	if ios.Env("SSH_TTY") != "" || ios.Env("SSH_CONNECTION") != "" {
		return nil
	}
	var try [][]string
	switch {
	case runtime.GOOS == "darwin":
		try = [][]string{{"pbcopy"}}
	case runtime.GOOS == "windows":
		try = [][]string{{"clip.exe"}}
	case ios.Env("WAYLAND_DISPLAY") != "":
		try = [][]string{{"wl-copy"}}
	case ios.Env("DISPLAY") != "":
		try = [][]string{{"xclip", "-selection", "clipboard"}, {"xsel", "--clipboard", "--input"}}
	}
	for _, words := range try {
		path, err := find(words[0])
		if err != nil {
			continue
		}
		return func(text string) {
			ctx, cancel := context.WithTimeout(context.Background(), copyLimit)
			defer cancel()
			cmd := exec.CommandContext(ctx, path, words[1:]...)
			cmd.Stdin = strings.NewReader(text)
			_ = cmd.Run() // OSC 52 is the other way
		}
	}
	return nil
}
