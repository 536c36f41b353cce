package main

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// What a stack may say. All else reaches into the machine, runs programs on it,
// reads other files, or is the runner's own affair.
const (
	topKeys     = `name services networks volumes`
	networkKeys = `name driver internal ipam labels`
	volumeKeys  = `name labels`
	deployKeys  = `resources placement`
	serviceKeys = `image command entrypoint environment ports volumes networks depends_on healthcheck deploy
		mem_limit memswap_limit mem_reservation cpus pids_limit labels stop_grace_period stop_signal user working_dir
		tmpfs ulimits read_only cap_drop init shm_size hostname expose extra_hosts security_opt restart platform sysctls`
)

// checkKeys refuses what is not in the lists. The model is the library's: its
// anchors and merges are resolved.
func (s *source) checkKeys(model map[string]any) error {
	if err := s.only(model, topKeys); err != nil {
		return err
	}
	for _, part := range []struct{ name, keys string }{{"services", serviceKeys}, {"networks", networkKeys}, {"volumes", volumeKeys}} {
		all, _ := model[part.name].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if !regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]*$`).MatchString(name) {
				return s.refuse([]string{part.name, name}, "%q is no name for one of the %s: it has letters, digits, - and _", name, part.name)
			}
			one, _ := all[name].(map[string]any)
			if err := s.only(one, part.keys, part.name, name); err != nil {
				return err
			}
			if deploy, ok := one["deploy"].(map[string]any); ok && part.name == "services" {
				if err := s.only(deploy, deployKeys, part.name, name, "deploy"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *source) only(m map[string]any, keys string, path ...string) error {
	known := strings.Fields(keys)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(known, k) && !strings.HasPrefix(k, "x-") && !empty(m[k]) {
			at := append(slices.Clone(path), k)
			return s.refuse(at, "a stack may not have %s", strings.Join(at, "."))
		}
	}
	return nil
}

// empty reports what the library adds by itself and what says nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

func (s *source) checkValues(p *types.Project, r Request) error {
	if len(p.Services) == 0 {
		return fail(kindInvalid, "%s has no services", s.file)
	}
	roots, err := realPaths(r.Root, r.Dir)
	if err != nil {
		return err
	}
	for _, name := range p.ServiceNames() {
		svc := p.Services[name]
		at := func(more ...string) []string { return append([]string{"services", name}, more...) }
		if svc.Image == "" {
			return s.refuse(at(), "services.%s has no image", name)
		}
		if svc.Restart != "" && svc.Restart != types.RestartPolicyNo {
			return s.refuse(at("restart"), "services.%s.restart is the supervisor's affair: leave it out", name)
		}
		for _, o := range svc.SecurityOpt {
			if !strings.HasPrefix(o, "no-new-privileges") {
				return s.refuse(at("security_opt"), "services.%s.security_opt may have no-new-privileges alone", name)
			}
		}
		for label := range svc.Labels {
			if strings.HasPrefix(label, "com.docker.") || strings.HasPrefix(label, "prism.") && label != labelTask {
				return s.refuse(at("labels"), "services.%s.labels may not have %s", name, label)
			}
		}
		if d := svc.Deploy; d != nil {
			for _, res := range []*types.Resource{d.Resources.Limits, d.Resources.Reservations} {
				if res != nil && len(res.Devices)+len(res.GenericResources) > 0 {
					return s.refuse(at("deploy"), "services.%s.deploy may not ask for devices", name)
				}
			}
		}
		for i, port := range svc.Ports {
			if ip := net.ParseIP(port.HostIP); !r.Open && (ip == nil || !ip.IsLoopback()) {
				return s.refuse(at("ports", fmt.Sprint(i)), "port %d of %s must be on loopback: write 127.0.0.1:%s:%d", port.Target, name, orDash(port.Published), port.Target)
			}
		}
		for i, v := range svc.Volumes {
			if why := badMount(v, roots); why != "" {
				return s.refuse(at("volumes", fmt.Sprint(i)), "the mount %s of %s %s", v.Target, name, why)
			}
		}
	}
	return s.checkShared(p)
}

// checkShared looks at what services share. The library has given each its name;
// another one would be another project's.
func (s *source) checkShared(p *types.Project) error {
	for name, n := range p.Networks {
		if n.Driver != "" && n.Driver != "bridge" {
			return s.refuse([]string{"networks", name, "driver"}, "networks.%s may have the driver bridge alone", name)
		}
		if n.Name != p.Name+"_"+name {
			return s.refuse([]string{"networks", name, "name"}, "networks.%s may not choose its name", name)
		}
	}
	for name, v := range p.Volumes {
		if v.Name != p.Name+"_"+name {
			return s.refuse([]string{"volumes", name, "name"}, "volumes.%s may not choose its name", name)
		}
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "PORT"
	}
	return s
}

// badMount says what is wrong with a mount.
func badMount(v types.ServiceVolumeConfig, roots []string) string {
	switch v.Type {
	case types.VolumeTypeVolume, types.VolumeTypeTmpfs:
		return ""
	case types.VolumeTypeBind:
	default:
		return "has the type " + v.Type + ", which a stack may not have"
	}
	if v.Bind != nil && v.Bind.Propagation != "" {
		return "may not choose its propagation"
	}
	real, err := filepath.EvalSymlinks(v.Source)
	if os.IsNotExist(err) {
		return "names " + v.Source + ", which is not there"
	}
	if err != nil {
		return "cannot be looked at: " + err.Error()
	}
	if !slices.ContainsFunc(roots, func(root string) bool { return within(root, real) }) {
		return "is outside the project: " + v.Source
	}
	return ""
}

func within(root, path string) bool {
	rel, err := filepath.Rel(root, path)
	return err == nil && filepath.IsLocal(rel)
}

func realPaths(paths ...string) ([]string, error) {
	var real []string
	for _, p := range paths {
		if p == "" || p == "/" {
			continue // the whole machine is nobody's project
		}
		r, err := filepath.EvalSymlinks(p)
		if err != nil {
			return nil, fail(kindInvalid, "the project's folder cannot be read: %v", err)
		}
		real = append(real, r)
	}
	return real, nil
}
