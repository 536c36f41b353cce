package stacks

import (
	"maps"
	"slices"
	"strings"
)

// checkChoices judges what a person has chosen for stacks, whether they are in
// the plan or not.
func (p Project) checkChoices() error {
	for _, key := range slices.Sorted(maps.Keys(p.Ports)) {
		s, name, err := p.choice(key)
		if err != nil {
			return err
		}
		if n := p.Ports[key]; n < 1 || n > 65535 {
			return usage("use a number from 1 to 65535", "%d is not a port for %s", n, key)
		}
		if known := portNames(s.Ports); name != "" && !slices.Contains(known, name) {
			return unknown("port of "+s.Name, name, known).WithMeta("kind", "usage")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.Images)) {
		s, name, err := p.choice(key)
		if err != nil {
			return err
		}
		var known []string
		for _, i := range s.Images {
			known = append(known, i.Name)
		}
		if name != "" && !slices.Contains(known, name) {
			return unknown("image of "+s.Name, name, known)
		}
		if p.Images[key] == "" {
			return usage("name an image, such as redis:8", "no image is named for %s", key)
		}
	}
	forms := []Form{p.Form}
	for _, key := range slices.Sorted(maps.Keys(p.Forms)) {
		if _, err := p.find(key); err != nil {
			return err
		}
		forms = append(forms, p.Forms[key])
	}
	for _, f := range forms {
		if f != "" && f != FormAuto && f != FormContainer && f != FormNative {
			return usage("use one of: auto, container, native", "there is no form %q", string(f))
		}
	}
	return nil
}

// choice reads STACK or STACK.NAME.
func (p Project) choice(key string) (*Stack, string, error) {
	stack, name, _ := strings.Cut(key, ".")
	s, err := p.find(stack)
	return s, name, err
}

func portNames(ports []Port) []string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = p.Name
	}
	return names
}
