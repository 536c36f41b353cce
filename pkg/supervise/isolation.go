package supervise

import "time"

// isolate makes the folder for the services' cgroups, or falls back.
func (s *Supervisor) isolate() {
	s.isolation = fallbackIsolation
	if !s.opts.NoCgroup {
		if dir, err := openCgroups(s.cgroupID); err == nil {
			s.cgroup, s.isolation = dir, "cgroup"
			return
		}
	}
	s.adoptOrphans()
}

// adoptOrphans makes what our services orphan our own, so that it is found by
// its parent, and collects it when it ends by itself.
func (s *Supervisor) adoptOrphans() {
	s.adopting.Do(func() {
		if becomeSubreaper() != nil {
			return
		}
		go func() {
			for {
				t := s.clk.NewTimer(5 * time.Second)
				select {
				case <-t.C:
					s.collectZombies()
				case <-s.done:
					t.Stop()
					return
				}
			}
		}()
	})
}

// collectZombies waits for dead orphans, never for a process that a Cmd of
// ours will wait for.
func (s *Supervisor) collectZombies() {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[int]bool{}
	if s.watch != nil {
		known[s.watch.pid()] = true
	}
	for _, svc := range s.services {
		known[svc.proc.PID], known[svc.building.PID] = true, true
	}
	reapOrphans(zombieOrphans(known))
}
