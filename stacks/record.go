package stacks

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/stacks/probe"
)

// A Record is what stacks.json says of a stack: what whoever did not start it
// must know. It holds no secrets, only the files that do.
type Record struct {
	Name    string            `json:"name"`
	Form    Form              `json:"form"`
	Program string            `json:"program,omitempty"`
	Data    string            `json:"data"`
	Ports   map[string]int    `json:"ports,omitempty"`
	Images  map[string]string `json:"images,omitempty"`
	Engine  string            `json:"engine,omitempty"` // the container engine's endpoint
	Probe   probe.Question    `json:"probe"`
	Backend string            `json:"backend,omitempty"` // the gateway's backend on it
	Env     map[string]string `json:"env,omitempty"`
	Links   []Link            `json:"links,omitempty"`
}

// file is stacks.json.
type file struct {
	Engine string                    `json:"engine,omitempty"`     // that the project used last
	Ports  map[string]map[string]int `json:"auto_ports,omitempty"` // by stack and name: kept for the next time
	Stacks []Record                  `json:"stacks"`
}

func fileIn(state string) string { return filepath.Join(state, "stacks.json") }

// Running gives what the last Prepare wrote into the state folder: what runs
// for the project, or ran there last. No file is no record.
func Running(state string) ([]Record, error) {
	f, err := readFile(state)
	return f.Stacks, err
}

// Engine is the endpoint of the container engine that the project used last, in
// any of its runs; "" if it never used one.
func Engine(state string) (string, error) {
	f, err := readFile(state)
	return f.Engine, err
}

func readFile(state string) (file, error) {
	var f file
	text, err := os.ReadFile(fileIn(state))
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		e := prism.New(prism.ReasonFailedPrecond, "the list of stacks cannot be read").WithMeta("kind", "stacks_file").WithCause(err)
		return file{}, fixed(e, "remove "+fileIn(state)+"; ports that --auto-ports has chosen are then chosen anew")
	}
	return f, nil
}

// record writes stacks.json.
func (pl *Plan) record() error {
	f, err := readFile(pl.Project.State)
	if err != nil {
		return err
	}
	f.Stacks = []Record{}
	for _, i := range pl.Instances {
		f.Stacks = append(f.Stacks, i.record())
		if i.endpoint != "" {
			f.Engine = i.endpoint
		}
		if pl.Project.Auto && len(i.Ports) > 0 {
			if f.Ports == nil {
				f.Ports = map[string]map[string]int{}
			}
			f.Ports[i.Stack.Name] = i.Ports
		}
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return config.WriteFile(fileIn(pl.Project.State), append(text, '\n'))
}

func (i *Instance) record() Record {
	r := Record{
		Name: i.Stack.Name, Form: i.Form, Program: i.Program, Data: i.Data, Ports: i.Ports, Images: i.Images,
		Engine: i.endpoint, Probe: i.question, Env: map[string]string{}, Links: i.links,
	}
	if i.backend != nil {
		r.Backend = i.Stack.Name
	}
	for _, v := range i.vars {
		r.Env[v.Name] = v.Value
	}
	return r
}
