// Probe is a process that does one thing of scan2ban's and nothing else, so that
// it can be timed beside a process of a peer that does the same.
//
//	probe peak COMMAND...    runs it; prints its peak RSS and anonymous memory in bytes
//	probe track STATE N END  puts N keys with one failure each, up to the second END, into the sshd jail
//	probe resave STATE       reads a state with all its windows and saves it
//	probe ban FILE           brings the bans of FILE into a kernel that has none
//	probe list LIST          reads a list of addresses and brings it into a kernel that has none
//	probe compare FILE       reads the table back and compares it with FILE, which it must equal
//
// FILE has an address or CIDR and the end of its ban, in Unix seconds, on each line.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"scan2ban/ban/nftables"
	"scan2ban/state"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "probe: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) > 1 && args[0] == "peak":
		return peak(args[1:])
	case len(args) == 4 && args[0] == "track":
		return track(args[1], args[2], args[3])
	case len(args) == 2 && args[0] == "resave":
		return change(args[1], func(s *state.State) error {
			tracked := 0
			for _, j := range s.Jails { // windows are not decoded before somebody asks
				tracked += j.Tracked()
			}
			if tracked == 0 {
				return errors.New("nothing is tracked")
			}
			return nil
		})
	case len(args) == 2 && args[0] == "ban":
		return ban(args[1])
	case len(args) == 2 && args[0] == "list":
		return load(args[1])
	case len(args) == 2 && args[0] == "compare":
		return compare(args[1])
	}
	return fmt.Errorf("not understood: %q", args)
}

// peak is asked for in a small process because the kernel counts the memory of
// the process that forks into the peak of its child (ru_maxrss, getrusage(2)).
// Nobody keeps the peak of anonymous memory: it is looked at without pause.
func peak(args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		return err
	}
	anonymous, buf := int64(0), make([]byte, 4096)
	for {
		select {
		case err := <-done:
			fmt.Println(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10, anonymous)
			return err
		default:
		}
		n, _ := status.ReadAt(buf, 0)
		if _, rest, ok := bytes.Cut(buf[:n], []byte("RssAnon:")); ok {
			kb, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
			n, _ := strconv.ParseInt(string(kb), 10, 64)
			anonymous = max(anonymous, n<<10)
		}
	}
}

// change loads a state, alters it, and saves it, as a pass does.
func change(path string, alter func(*state.State) error) error {
	store, err := state.OpenStore(path, false)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Lock(time.Second); err != nil {
		return err
	}
	s, err := store.LoadKnown(func(*state.State) bool { return true }) // as a pass does that has just saved it
	if err != nil {
		return err
	}
	if err := alter(s); err != nil {
		return err
	}
	return store.Commit(s, nil, time.Now().Unix())
}

func track(path, number, last string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	end, err := strconv.ParseInt(last, 10, 64)
	if err != nil {
		return err
	}
	return change(path, func(s *state.State) error {
		// The rules must be those of the pass: it reads all windows where they changed.
		rules := map[string]*state.Rules{"sshd": {Policy: state.DefaultPolicy(), Reach: s.Jail("sshd").Reach, Ignored: state.NewIgnored()}}
		judge := state.NewJudge(s, rules, state.DefaultOptions(), func() (*state.Prior, error) { return state.NewPrior(), nil })
		for i := range n {
			a := 11<<24 + i*167
			judge.Event(state.Event{Failure: state.Failure{Jail: "sshd", Weight: 1, User: fmt.Sprintf("user%d", i%977), Rule: "failed-password",
				Addr: netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}),
				Time: end - 1200 + int64(i)*1200/int64(n)}})
		}
		if got := s.Jail("sshd").Tracked(); got != n || judge.Err != nil {
			return fmt.Errorf("%d keys are tracked, not %d: %v", got, n, judge.Err)
		}
		return nil
	})
}

// bans reads FILE.
func bans(path string) ([]nftables.Group, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	g := nftables.Group{Name: "sshd", IPv4Prefix: 32, IPv6Prefix: 64, Reach: state.DefaultReach()}
	g.Reach.Ports = state.Ports{{From: 22, To: 22}}
	g.Elements = make([]nftables.Element, 0, bytes.Count(text, []byte("\n")))
	for line := range bytes.Lines(text) {
		key, end, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		prefix, err := state.ParsePrefix(string(key))
		if err != nil {
			return nil, err
		}
		second, err := strconv.ParseInt(string(end), 10, 64)
		if err != nil {
			return nil, err
		}
		g.Elements = append(g.Elements, nftables.Element{Key: state.Key(prefix), Left: time.Unix(second, 0).Sub(now)})
	}
	return []nftables.Group{g}, nil
}

func ban(path string) error {
	groups, err := bans(path)
	if err != nil {
		return err
	}
	n := len(groups[0].Elements)
	r, err := nftables.Options{}.Sync(context.Background(), groups, nil, nil)
	if err == nil && len(r.Failed) > 0 {
		err = r.Failed["sshd"]
	}
	if got := r.Added + r.Repaired; err == nil && got < n {
		err = fmt.Errorf("%d elements were added, not %d", got, n)
	}
	return err
}

func compare(path string) error {
	groups, err := bans(path)
	if err != nil {
		return err
	}
	r, err := nftables.Options{}.Sync(context.Background(), groups, groups, nil)
	if err == nil && (!r.Dumped || r.Commits > 0) {
		err = fmt.Errorf("the table was read: %v, and mended with %d commits", r.Dumped, r.Commits)
	}
	return err
}
