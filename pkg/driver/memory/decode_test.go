package memory_test

import "github.com/goccy/go-yaml"

// decode stands for the part of the configuration that hands options on.
func decode(text string) func(any) error {
	return func(into any) error { return yaml.Unmarshal([]byte(text), into) }
}
