package pass

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"scan2ban/ban/nftables"
	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/state"
)

// The child: a pass of this test binary, in a process that can be killed.
const tortureChild = "SCAN2BAN_TORTURE_PASS"

// torturePass is what the child is to do.
type torturePass struct {
	Dir string // of the house
	Now int64

	Unban   string // an address or network to be unbanned everywhere, "all"; "": a pass only
	Ban     string // an address or network to be banned in all ports
	For     int64  // seconds of that
	Pause   bool   // no pass, but the command
	Resume  bool   // the same, and a pass
	Restore bool   // no pass, but what a boot does before the network comes up
}

func tortureSetup(dir string) (Setup, error) {
	s := Setup{Rules: map[string]*state.Rules{}, State: state.DefaultOptions(), Kernel: nftables.DefaultOptions(), Write: true,
		StatePath: filepath.Join(dir, "state", "state.json"), JournalPath: filepath.Join(dir, "journal")}
	s.State.Checkpoint = state.Duration(2 * time.Minute)
	s.State.Memory = seconds(tortureMemory)
	for name, j := range tortureJails {
		if name == byHand {
			continue
		}
		policy := state.DefaultPolicy()
		policy.MaxRetry, policy.FindTime, policy.BanTime = j.maxretry, seconds(j.findtime), seconds(j.bantime)
		policy.Escalation.Factor, policy.Escalation.Max = float64(j.factor), seconds(j.most)
		policy.Subnets = state.Subnets{Count: j.count, IPv4: j.net4, IPv6: j.net6}
		s.Rules[name] = &state.Rules{Policy: policy, Reach: reach(), Ignored: state.NewIgnored(), Ledger: j.ledger}
		if j.ledger {
			continue
		}
		f, err := filter.Load(name)
		if err != nil {
			return s, err
		}
		w := scan.Watch{Jail: name, Matcher: f.Compile(filter.Normal), Backend: filter.Journal, Terms: f.Matches()}
		if name == "vsftpd" {
			w = scan.Watch{Jail: name, Matcher: f.Compile(filter.Normal), Backend: filter.File, Paths: []string{filepath.Join(dir, "log", "vsftpd.log")}, Zone: time.UTC}
		}
		s.Watches = append(s.Watches, w)
	}
	return s, nil
}

func seconds(n int) state.Duration { return state.Duration(time.Duration(n) * time.Second) }

// tortureMain is the child's: what failed on standard error, and exit code 1.
func tortureMain(order string) int {
	var do torturePass
	err := json.Unmarshal([]byte(order), &do)
	if err == nil {
		var s Setup
		if s, err = tortureSetup(do.Dir); err == nil {
			s.Now = time.Unix(do.Now, 0)
			err = do.run(s)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (do torturePass) run(s Setup) error {
	ctx := context.Background()
	switch {
	case do.Pause:
		_, err := Pause(ctx, s.StatePath)
		return err
	case do.Restore:
		_, _, err := Restore(ctx, s)
		return err
	case do.Resume:
		if err := Resume(s.StatePath); err != nil {
			return err
		}
	}
	p, err := Begin(s)
	if err != nil {
		return err
	}
	defer p.Close()
	p.Read(ctx)
	if err := do.byHand(p); err != nil {
		return err
	}
	p.Commit(ctx)
	for _, err := range p.Errs {
		fmt.Fprintln(os.Stderr, err)
	}
	if len(p.Errs) > 0 {
		return fmt.Errorf("%d errors", len(p.Errs))
	}
	return nil
}

// byHand does what the admin wants of the pass.
func (do torturePass) byHand(p *Pass) error {
	switch {
	case do.Unban == "all":
		return p.Unban(ByHand{All: true})
	case do.Unban != "":
		keys, err := Keys([]string{do.Unban})
		if err != nil {
			return err
		}
		return p.Unban(ByHand{Keys: keys})
	case do.Ban != "":
		keys, err := Keys([]string{do.Ban})
		if err != nil {
			return err
		}
		return p.Ban(ByHand{Keys: keys, For: state.Duration(time.Duration(do.For) * time.Second)})
	}
	return nil
}
