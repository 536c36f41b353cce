package stacks

import (
	"time"

	"github.com/prism-data-layer/prism/pkg/config"
)

// KindStack is the kind of a stack.yaml.
const KindStack = "Stack"

// A Stack is what a stack.yaml of the catalogue says. Texts that are marked as
// templates may use, between {{ and }}:
//
//	addr "PORT"        host and port of the port of that name, on this machine
//	port "PORT"        its number alone
//	listen "PORT"      where the stack itself listens: natively that address, in a
//	                   container the usual port of every interface
//	secretfile "NAME"  the path of the file that holds a secret
//	secret "NAME"      the secret itself: in files only
//	bcrypt "NAME"      its bcrypt hash: in files only
//	file "NAME"        the path of a filled-in file, on this machine
//	data               the folder of its data as the stack sees it: /data in a container
//	folder             the folder of its data in the project
//	socket "NAME"      the path of a Unix socket: native form only
//	native             whether it runs natively
//	quote TEXT         the text in double quotes
//	split TEXT         its words
//	project            the project's id
type Stack struct {
	config.Where
	APIVersion string `yaml:"apiVersion" check:"required,example=prism/v1" doc:"The version of the file's form: prism/v1."`
	Kind       string `yaml:"kind" default:"Stack" doc:"Stack."`
	Name       string `yaml:"name" check:"required,name,example=redis" doc:"The name, which is its folder's."`
	About      string `yaml:"about" check:"required" doc:"What it is, in a line."`

	Images []Image     `yaml:"images" doc:"The images of its containers, pinned. compose.yaml names them \\${PRISM_IMAGE_NAME}."`
	Memory config.Size `yaml:"memory" doc:"What its containers may take together, by the limits in compose.yaml."`
	Disk   config.Size `yaml:"disk" doc:"What its images take on disk, about."`
	After  []string    `yaml:"after" doc:"Stacks that must be ready before it, and are started with it."`
	Covers []string    `yaml:"covers" doc:"Stacks whose work it does: they are left out where it runs."`

	Ports   []Port            `yaml:"ports" doc:"What it listens on, on loopback. compose.yaml names them \\${PRISM_PORT_NAME}."`
	Secrets []string          `yaml:"secrets" doc:"Secrets that are made once per project, for its owner's eyes. compose.yaml may name them \\${PRISM_SECRET_NAME} where a container takes them in no other way."`
	Files   []File            `yaml:"files" doc:"Files of its folder that are filled in and given to it. compose.yaml names them \\${PRISM_FILE_NAME}."`
	Probe   Probe             `yaml:"probe" doc:"How we ask whether it works."`
	Backend *Backend          `yaml:"backend" doc:"The backend that the gateway gets."`
	Gateway map[string]string `yaml:"gateway" doc:"Variables for prismd. Templates."`
	Env     map[string]string `yaml:"env" doc:"Variables for applications: dev env prints them. Templates."`
	URLs    []URL             `yaml:"urls" doc:"What a person opens or signs in with."`
	Native  *Native           `yaml:"native" doc:"How it runs without containers."`
	Missing string            `yaml:"missing" doc:"What of it was never run by its tests, and why; dev doctor says it."`
}

// An Image is pinned: what is run is what was tested.
type Image struct {
	config.Where
	Name     string   `yaml:"name" check:"required,name" doc:"The name in compose.yaml: \\${PRISM_IMAGE_NAME}."`
	Image    string   `yaml:"image" check:"required" doc:"The reference, with a version."`
	Updated  string   `yaml:"updated" check:"required,example=2026-11-01" doc:"The day on which the version was chosen."`
	Every    string   `yaml:"every" enum:"monthly|quarterly|yearly" default:"quarterly" doc:"How often it is due for renewal."`
	Breaking []string `yaml:"breaking" doc:"What changed for users with this version; dev update says it first."`
}

// A Port is one that the stack listens on.
type Port struct {
	config.Where
	Name string `yaml:"name" check:"required,name" doc:"The name in templates."`
	Port int    `yaml:"port" check:"required,min=1,max=65535" doc:"The usual number; --port-offset and --auto-ports change it."`
}

// A File is a template in the stack's folder.
type File struct {
	config.Where
	Name   string `yaml:"name" check:"required" doc:"The file in the stack's folder, which is filled in."`
	Secret bool   `yaml:"secret" doc:"Whether it holds a secret: natively only its owner may read it then. A container's user is another: its files lie in a folder that is only the owner's."`
	Form   string `yaml:"form" enum:"container|native" doc:"The only form that needs it. Default: both."`
}

// A Probe is our own question to a stack.
type Probe struct {
	config.Where
	Kind     string            `yaml:"kind" check:"required" doc:"Who asks: a kind of package probe."`
	Addr     string            `yaml:"addr" check:"required" doc:"Whom. A template."`
	Options  map[string]string `yaml:"options" doc:"What the kind wants to know. Templates."`
	Timeout  time.Duration     `yaml:"timeout" default:"60s" doc:"How long a start may take."`
	Interval time.Duration     `yaml:"interval" default:"5s" doc:"From question to question once it is ready."`
}

// A Backend is what the gateway gets, with the stack's name.
type Backend struct {
	config.Where
	Driver  string         `yaml:"driver" check:"required" doc:"The driver."`
	Options config.Options `yaml:"options" doc:"Its options. Texts are templates."`
}

// A URL is something that a person opens, or signs in with.
type URL struct {
	config.Where
	Name string `yaml:"name" check:"required" doc:"What it is."`
	URL  string `yaml:"url" check:"required" doc:"Where. A template."`
	Note string `yaml:"note" doc:"What to know, such as a user and where his password is. A template."`
}

// Native is how a stack runs without containers. What it does not say holds as
// for containers.
type Native struct {
	config.Where
	Programs []string `yaml:"programs" check:"required" doc:"What the program may be called on PATH; the first one is looked for in the folder of native programs too."`
	Variable string   `yaml:"variable" check:"required" doc:"The variable that names the program."`
	Hint     string   `yaml:"hint" check:"required" doc:"How to get it."`
	Version  []string `yaml:"version" doc:"Arguments with which the program tells its version."`
	Args     []string `yaml:"args" doc:"Its arguments. Templates."`
	Env      []string `yaml:"env" doc:"Its variables, KEY=value. Templates."`

	Ports   []Port            `yaml:"ports" doc:"Its ports, where they differ. An empty list: none."`
	Probe   *Probe            `yaml:"probe" doc:"Its probe, where it differs."`
	Backend *Backend          `yaml:"backend" doc:"Its backend, where it differs."`
	Offers  map[string]string `yaml:"offers" doc:"Variables for applications, where they differ. Templates."`
	URLs    []URL             `yaml:"urls" doc:"What a person opens, where it differs."`
}
