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
