package pebble_test

import "github.com/goccy/go-yaml"

// optionsOf is Config.Options as the configuration file would give it.
func optionsOf(text string) func(any) error {
	return func(into any) error { return yaml.UnmarshalWithOptions([]byte(text), into, yaml.Strict()) }
}
