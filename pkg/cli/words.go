package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/prism-data-layer/prism/pkg/config"
)

// annotationWords holds the words that a flag takes.
const annotationWords = "prism.words"

// Enum lets a flag take these words only, in any case, and "" where that is
// its default: shells complete them, any other is refused with all of them.
// Help lists them where the flag is made.
func Enum(cmd *cobra.Command, flag string, words ...string) {
	if f := cmd.Flag(flag); f != nil {
		f.Value = &wordValue{f.Value, words, f.DefValue == ""}
		Suggest(cmd, flag, words...)
	}
}

// Suggest is Enum for a flag that takes more than these: what runs judges it,
// and refuses it with NotAWord.
func Suggest(cmd *cobra.Command, flag string, words ...string) {
	f := cmd.Flag(flag)
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[annotationWords] = words
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
}

// WordsOf are the words that a flag takes; none where it takes what it is given.
func WordsOf(f *pflag.Flag) []string { return f.Annotations[annotationWords] }

// NotAWord is the error for a flag with a word that it does not take.
func NotAWord(flag, word string, words []string) error {
	return Usage(Meant(word, words), "--%s %q is not known", flag, word)
}

// Meant is the hint for a wrong word: the nearest, and all.
func Meant(word string, words []string) string {
	return strings.TrimPrefix(didYouMean(word, words)+" "+oneOf(words), " ")
}

// A wordValue is a flag's value that is one of a few words, or a list of them.
type wordValue struct {
	pflag.Value
	words []string
	empty bool
}

// A wrongWord is what a wordValue does not take.
type wrongWord struct {
	word  string
	words []string
}

func (w *wrongWord) Error() string { return fmt.Sprintf("%q is not known", w.word) }

func (v *wordValue) Set(text string) error {
	if text == "" && v.empty {
		return v.Value.Set(text)
	}
	given := []string{text}
	if v.Type() == "stringSlice" {
		given = strings.Split(text, ",")
	}
	for i, word := range given {
		at := slices.IndexFunc(v.words, func(w string) bool { return strings.EqualFold(w, strings.TrimSpace(word)) })
		if at < 0 {
			return &wrongWord{word, v.words}
		}
		given[i] = v.words[at]
	}
	return v.Value.Set(strings.Join(given, ","))
}

// didYouMean is the hint for a wrong word: at most two edits away. One letter
// could have become any.
func didYouMean(word string, words []string) string {
	if near := config.Nearest(word, words); near != "" && len(word) > 1 {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

func oneOf(words []string) string { return "use one of: " + strings.Join(words, ", ") }
