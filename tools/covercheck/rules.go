package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// A rule asks for a least coverage of the packages that its glob matches.
type rule struct {
	glob    string
	matches *regexp.Regexp
	min     float64
}

// readRules reads lines of GLOB MINIMUM; # begins a comment. In a glob, * is
// any run of characters within a name, and a last /** is the folder itself and
// all below it.
func readRules(file string) ([]rule, error) {
	var rules []rule
	err := eachLine(file, func(fields []string) error {
		if len(fields) != 2 {
			return fmt.Errorf("want GLOB MINIMUM, got %q", strings.Join(fields, " "))
		}
		minimum, err := strconv.ParseFloat(fields[1], 64)
		if err != nil || minimum < 0 || minimum > 100 {
			return fmt.Errorf("minimum %q is no percentage", fields[1])
		}
		rules = append(rules, rule{fields[0], glob(fields[0]), minimum})
		return nil
	})
	if err == nil && len(rules) == 0 {
		err = fmt.Errorf("%s holds no rule", file)
	}
	return rules, err
}

func glob(g string) *regexp.Regexp {
	dir, deep := strings.CutSuffix(g, "/**")
	e := strings.ReplaceAll(regexp.QuoteMeta(dir), `\*`, `[^/]*`)
	if deep {
		e += "(/.*)?"
	}
	return regexp.MustCompile("^" + e + "$")
}

// find gives the first rule that matches: the order of the file decides.
func find(rules []rule, pkg string) (rule, bool) {
	for _, r := range rules {
		if r.matches.MatchString(pkg) {
			return r, true
		}
	}
	return rule{}, false
}

// eachLine hands on the fields of each line that is neither empty nor a
// comment; an error gets the place.
func eachLine(file string, f func(fields []string) error) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if fields := strings.Fields(text); len(fields) > 0 {
			if err := f(fields); err != nil {
				return fmt.Errorf("%s:%d: %w", file, n, err)
			}
		}
	}
	return lines.Err()
}
