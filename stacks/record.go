package stacks

// A Record is what stacks.json says of a stack.
type Record struct {
	Name    string            `json:"name"`
	Form    Form              `json:"form"`
	Program string            `json:"program,omitempty"`
	Data    string            `json:"data"`
	Ports   map[string]int    `json:"ports,omitempty"`
	Images  map[string]string `json:"images,omitempty"`
	Engine  string            `json:"engine,omitempty"` // the container engine's endpoint
	Env     map[string]string `json:"env,omitempty"`
	Links   []Link            `json:"links,omitempty"`
}

// Running gives what the last Prepare wrote into the state folder: what runs
// for the project, or ran there last. No file is no record.
func Running(state string) ([]Record, error) { panic("soon") }
