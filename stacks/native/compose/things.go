package main

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
)

// ours is the filter for what has our labels: of a project, of a stack of it.
func ours(project, stack string) client.Filters {
	f := client.Filters{}
	if project == "" {
		return f.Add("label", labelProject)
	}
	f.Add("label", labelProject+"="+project)
	if stack != "" {
		f.Add("label", labelStack+"="+stack)
	}
	return f
}

func labelled(kind, name, id string, labels map[string]string) Thing {
	return Thing{
		Kind: kind, Name: name, ID: id,
		Project: labels[labelProject], Root: labels[labelRoot], Stack: labels[labelStack], Service: labels[serviceLabel],
	}
}

const serviceLabel = "com.docker.compose.service"

// things is everything with our labels, by the labels alone.
func (e *engine) things(ctx context.Context, project, stack string) ([]Thing, error) {
	all, err := e.containers(ctx, project, stack)
	if err != nil {
		return nil, err
	}
	networks, err := e.api.NetworkList(ctx, client.NetworkListOptions{Filters: ours(project, stack)})
	if err != nil {
		return nil, err
	}
	for _, n := range networks.Items {
		t := labelled("network", n.Name, n.ID, n.Labels)
		t.Created = n.Created
		all = append(all, t)
	}
	volumes, err := e.api.VolumeList(ctx, client.VolumeListOptions{Filters: ours(project, stack)})
	if err != nil {
		return nil, err
	}
	for _, v := range volumes.Items {
		t := labelled("volume", v.Name, v.Name, v.Labels)
		t.Created, _ = time.Parse(time.RFC3339, v.CreatedAt)
		all = append(all, t)
	}
	slices.SortStableFunc(all, func(a, b Thing) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

// containers are ours; of those that have ended it is asked how.
func (e *engine) containers(ctx context.Context, project, stack string) ([]Thing, error) {
	list, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours(project, stack)})
	if err != nil {
		return nil, err
	}
	var all []Thing
	for _, c := range list.Items {
		t := labelled("container", strings.TrimPrefix(first(c.Names), "/"), c.ID, c.Labels)
		t.Image, t.State, t.Created = c.Image, string(c.State), time.Unix(c.Created, 0).UTC()
		for _, m := range c.Mounts {
			if m.Type == mount.TypeVolume && nameless.MatchString(m.Name) {
				t.volumes = append(t.volumes, m.Name)
			}
		}
		if c.State == container.StateExited || c.State == container.StateDead {
			i, err := e.api.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
			if errdefs.IsNotFound(err) {
				continue
			}
			if err != nil {
				return nil, err
			}
			t.ended(i.Container.State)
		}
		all = append(all, t)
	}
	return all, nil
}

// nameless are the volumes that an image asks for and nobody named.
var nameless = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ended notes how a container has ended.
func (t *Thing) ended(s *container.State) { t.Exit, t.OOM = s.ExitCode, s.OOMKilled }

// inspected are our containers as they are now: of one that has just ended, the
// list tells for a moment that it runs.
func (e *engine) inspected(ctx context.Context, project, stack string) ([]Thing, error) {
	all, err := e.containers(ctx, project, stack)
	if err != nil {
		return nil, err
	}
	var there []Thing
	for _, t := range all {
		i, err := e.api.ContainerInspect(ctx, t.ID, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t.State = string(i.Container.State.Status)
		t.ended(i.Container.State)
		there = append(there, t)
	}
	return there, nil
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

func list(ctx context.Context, e *engine, r Request, say func(Answer)) error {
	all, err := e.things(ctx, r.Project, r.Stack)
	for _, t := range all {
		say(Answer{Thing: &t})
	}
	return err
}

func remove(ctx context.Context, e *engine, r Request, say func(Answer)) error {
	if r.Project == "" {
		return fail(kindUsage, "which project's things are to be removed is not said")
	}
	removed, err := e.remove(ctx, r.Project, r.Stack, r.Volumes, removeStop)
	for _, t := range removed {
		say(Answer{Thing: &t})
	}
	return err
}

// removeStop is how long containers have that nobody looks after any more.
const removeStop = 10 * time.Second

// looks is how often we look again, and lookEvery how long between: an engine
// needs some tenths of a second to be done with a container that it has removed.
const (
	looks     = 25
	lookEvery = 200 * time.Millisecond
)

// remove removes what has our labels, looks again, and fails when something is
// left. What it returns is gone.
func (e *engine) remove(ctx context.Context, project, stack string, volumes bool, stop time.Duration) ([]Thing, error) {
	before, err := e.wanted(ctx, project, stack, volumes)
	if err != nil {
		return nil, err
	}
	left := before
	words := map[string]error{} // the engine's, by id
	for i := 0; len(left) > 0 && i < looks; i++ {
		if i > 0 {
			if err := sleep(ctx, lookEvery); err != nil {
				return nil, err
			}
		}
		e.removeThings(ctx, left, stop, words)
		if left, err = e.wanted(ctx, project, stack, volumes); err != nil {
			return nil, err
		}
	}
	gone := slices.DeleteFunc(before, func(t Thing) bool {
		return slices.ContainsFunc(left, func(l Thing) bool { return l.ID == t.ID })
	})
	if len(left) == 0 {
		return gone, nil
	}
	var names []string
	for _, t := range left {
		name := t.Kind + " " + t.Name
		if w := words[t.ID]; w != nil {
			name += " (" + w.Error() + ")"
		}
		names = append(names, name)
	}
	return gone, fail(kindLeft, "still there: %s", strings.Join(names, ", ")).fix("docker ps --all --filter label=%s=%s", labelProject, project)
}

func (e *engine) wanted(ctx context.Context, project, stack string, volumes bool) ([]Thing, error) {
	all, err := e.things(ctx, project, stack)
	return slices.DeleteFunc(all, func(t Thing) bool { return t.Kind == "volume" && !volumes }), err
}

// removeThings removes containers, then networks and volumes, which they hold.
func (e *engine) removeThings(ctx context.Context, all []Thing, stop time.Duration, words map[string]error) {
	var mu sync.Mutex
	each := func(kind string, do func(Thing) error) {
		var wg sync.WaitGroup
		for _, t := range all {
			if t.Kind != kind {
				continue
			}
			wg.Go(func() {
				err := do(t)
				mu.Lock()
				defer mu.Unlock()
				if delete(words, t.ID); err != nil && !errdefs.IsNotFound(err) {
					words[t.ID] = err
				}
			})
		}
		wg.Wait()
	}
	each("container", func(t Thing) error {
		if t.State == string(container.StateRunning) {
			seconds := int(stop.Seconds())
			_, _ = e.api.ContainerStop(ctx, t.ID, client.ContainerStopOptions{Timeout: &seconds})
		}
		_, err := e.api.ContainerRemove(ctx, t.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		for _, v := range t.volumes {
			// One that came to it from the container that it replaced is not removed with
			// it. If somebody else uses it by now, it stays.
			_, _ = e.api.VolumeRemove(ctx, v, client.VolumeRemoveOptions{})
		}
		return err
	})
	each("network", func(t Thing) error {
		_, err := e.api.NetworkRemove(ctx, t.ID, client.NetworkRemoveOptions{})
		return err
	})
	each("volume", func(t Thing) error {
		_, err := e.api.VolumeRemove(ctx, t.ID, client.VolumeRemoveOptions{})
		return err
	})
}

// foreign looks for things of others that have a name which the stack needs.
func (e *engine) foreign(ctx context.Context, r Request, networks, volumes map[string]bool) error {
	found, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("name", r.name()+"-")})
	if err != nil {
		return err
	}
	labelledToo, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", "com.docker.compose.project="+r.name())})
	if err != nil {
		return err
	}
	for _, c := range append(found.Items, labelledToo.Items...) {
		name := strings.TrimPrefix(first(c.Names), "/")
		named := strings.HasPrefix(name, r.name()+"-") || c.Labels["com.docker.compose.project"] == r.name()
		if named && !r.owns(c.Labels) {
			return foreignFailure("container", name, fmt.Sprintf("of the image %s, %s", c.Image, c.State), "docker rename "+name+" OTHER")
		}
	}
	nets, err := e.api.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return err
	}
	for _, n := range nets.Items {
		if networks[n.Name] && !r.owns(n.Labels) {
			return foreignFailure("network", n.Name, n.Driver, "docker network rm "+n.Name)
		}
	}
	vols, err := e.api.VolumeList(ctx, client.VolumeListOptions{})
	if err != nil {
		return err
	}
	for _, v := range vols.Items {
		if volumes[v.Name] && !r.owns(v.Labels) {
			return foreignFailure("volume", v.Name, v.Driver, "docker volume rm "+v.Name)
		}
	}
	return nil
}

func (r Request) owns(labels map[string]string) bool {
	return labels[labelProject] == r.Project && labels[labelStack] == r.Stack
}

func foreignFailure(kind, name, what, fix string) error {
	return fail(kindForeign, "a %s that is not ours has the name %s (%s); it was not touched", kind, name, what).fix("%s, if it is not needed under that name", fix)
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
