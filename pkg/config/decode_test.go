package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/config"
)

// A box is a kind that another package describes.
type box struct {
	config.Where
	APIVersion string `yaml:"apiVersion" check:"required"`
	Kind       string `yaml:"kind" default:"Box"`
	Name       string `yaml:"name" check:"required,name"`
	Lid        *lid   `yaml:"lid"`
}

type lid struct {
	config.Where
	Colour string `yaml:"colour" enum:"red|blue" default:"red"`
}

func TestDecodeReadsAKindOfAnotherPackage(t *testing.T) {
	t.Parallel()
	var with, without box
	if err := config.Decode("box.yaml", []byte("apiVersion: prism/v1\nkind: Box\nname: small\nlid: {}\n"), "Box", &with, config.Load{}); err != nil {
		t.Fatal(err)
	}
	if with.Lid == nil || with.Lid.Colour != "red" || with.Lid.At("").Line != 4 {
		t.Errorf("with a lid: %+v", with.Lid)
	}
	if err := config.Decode("box.yaml", []byte("apiVersion: prism/v1\nname: small\n"), "Box", &without, config.Load{}); err != nil || without.Lid != nil {
		t.Errorf("without a lid: %+v, %v", without.Lid, err)
	}
	err := config.Decode("box.yaml", []byte("apiVersion: prism/v1\nkind: Crate\nname: Small\nlid: {color: blue}\nlabel: x\n"), "Box", new(box), config.Load{})
	var e *config.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{`box.yaml:2:7: the kind "Crate" is not known`, `did you mean "small"?`, `did you mean "colour"?`, `unknown key "label"`} {
		if !strings.Contains(e.Render(), want) {
			t.Errorf("got\n%s\nwithout %s", e.Render(), want)
		}
	}
	if err := config.Decode("box.yaml", []byte("apiVersion: prism/v1\nname: small\nlid: blue\n"), "Box", new(box), config.Load{}); err == nil || !strings.Contains(err.Error(), "lid takes a mapping") {
		t.Errorf("a lid of one word: %v", err)
	}
}

// A crate counts what cannot be fewer than none.
type crate struct {
	config.Where
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind" default:"Crate"`
	Bottles    uint     `yaml:"bottles" default:"6" check:"max=24"`
	Layers     uint8    `yaml:"layers"`
	Serial     uint64   `yaml:"serial"`
	Weights    []uint16 `yaml:"weights"`
}

func TestDecodeReadsUnsignedNumbers(t *testing.T) {
	t.Parallel()
	var got crate
	if err := config.Decode("crate.yaml", []byte("apiVersion: prism/v1\nlayers: 255\nserial: 18446744073709551615\nweights: [1, 65535]\n"), "Crate", &got, config.Load{}); err != nil {
		t.Fatal(err)
	}
	if got.Bottles != 6 || got.Layers != 255 || got.Serial != 18446744073709551615 || got.Weights[1] != 65535 {
		t.Errorf("got %+v", got)
	}
	for text, want := range map[string]string{
		"layers: -1":                   "layers is -1: it cannot be less than 0",
		"layers: 256":                  `"256" is not a whole number`,
		"serial: 18446744073709551616": `"18446744073709551616" is not a whole number`,
		"serial: 1_000":                `did you mean "1000"?`,
		"bottles: 25":                  "bottles is 25",
		"weights: [70000]":             `"70000" is not a whole number`,
	} {
		err := config.Decode("crate.yaml", []byte("apiVersion: prism/v1\n"+text+"\n"), "Crate", new(crate), config.Load{})
		var e *config.Error
		if !errors.As(err, &e) || !strings.Contains(e.Render(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
