package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// An attacked host, as it is measured: every two seconds somebody guesses a password, five
// times from an address and then from the next, as if each were banned. sshd writes three
// lines about a guess. A minute of that is written at once, and a minute lasts five seconds.
const (
	guesses   = 30 // a minute
	perClient = 5
	minutes   = 12
	gap       = 5 * time.Second
)

// guard is what watches the log.
type guard struct {
	name   string
	start  func() error
	pass   func() error // once a minute; nil: a daemon
	stop   func() error
	banned func() string
}

// day prints what a day costs, of all processor time of the container, with PID 1 and
// journald; what the same costs without a guard is taken off.
func day(ctx context.Context, o options, m *machine) error {
	nothing := func() error { return nil }
	service := func(verb, name string) func() error {
		return func() error { return m.do(ctx, "systemctl", verb, name) }
	}
	scan2ban := func(build string, dropIns ...string) guard {
		v := &variant{build: build, dropIns: dropIns}
		once := service("start", "scan2ban.service")
		return guard{name: strings.Join(append([]string{"scan2ban", build}, dropIns...), ", "), pass: once,
			start: func() error {
				if err := v.lay(ctx, m); err != nil {
					return err
				}
				for range 3 { // it has read what was there
					if err := once(); err != nil {
						return err
					}
				}
				return nil
			},
			stop:   func() error { return m.do(ctx, "nft", "delete", "table", "inet", "scan2ban") },
			banned: func() string { return m.said(ctx, "nft", "list", "set", "inet", "scan2ban", "sshd4") }}
	}
	usual := m.usual(ctx)
	guards := []guard{
		{name: "none", start: nothing, stop: nothing},
		{name: "Fail2Ban", start: func() error { return m.startFail2Ban(ctx) }, stop: service("stop", "fail2ban"),
			banned: func() string { return m.said(ctx, "nft", "list", "set", "inet", "f2b-table", "addr-set-sshd") }},
		{name: "SSHGuard", start: service("start", "sshguard"), stop: service("stop", "sshguard"),
			banned: func() string { return m.said(ctx, "nft", "list", "ruleset") }},
		scan2ban("cgo", usual...), scan2ban("static", usual...), scan2ban("cgo", "light"),
	}
	var none [2]time.Duration // idle and attacked minutes without a guard
	fmt.Printf("\n%s\n\n| guard | an idle day | an attacked day | bans seen |\n|---|--:|--:|--:|\n", firstLine(m.said(ctx, "systemctl", "--version")))
	for i, g := range guards {
		progress("%s", g.name)
		if err := g.start(); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		if err := m.quiet(ctx); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		idle, err := m.idleMinute(o, g)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		attacked, err := m.attacked(ctx, g, i)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		bans := "-"
		if g.banned != nil {
			bans = fmt.Sprint(strings.Count(g.banned(), fmt.Sprintf("198.18.%d.", i)))
		}
		if err := g.stop(); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		if i == 0 {
			none = [2]time.Duration{idle, attacked}
			continue
		}
		// A compressed minute has an idle share of five seconds, in which a daemon idles too.
		more := attacked - none[1]
		if idle -= none[0]; g.pass == nil {
			more += idle - idle*time.Duration(gap/time.Second)/60
		}
		fmt.Printf("| %s | %.0f s | %.0f s | %s |\n", g.name, (idle * 1440).Seconds(), (more * 1440).Seconds(), bans)
	}
	return nil
}

// quiet waits until the container spends less than 2 % of a processor: whatever was
// started has settled.
func (m *machine) quiet(ctx context.Context) error {
	for range 60 {
		if before := m.spent(""); ctx.Err() == nil {
			time.Sleep(gap)
			if m.spent("")-before < gap/50 {
				return nil
			}
		}
	}
	return errors.New("the container does not come to rest")
}

// idleMinute is what the container spends in a minute without an entry in its log.
func (m *machine) idleMinute(o options, g guard) (time.Duration, error) {
	if g.pass == nil {
		return time.Duration(float64(m.idle(o.peer).all) * float64(time.Minute) / float64(o.peer)), nil
	}
	var list []time.Duration
	for range o.passes {
		before := m.spent("")
		if err := g.pass(); err != nil {
			return 0, err
		}
		time.Sleep(time.Second)
		list = append(list, m.spent("")-before)
	}
	second := m.idle(10*time.Second).all / 10
	return median(list) + 59*second, nil
}

// attacked is what it spends in a compressed minute of an attack from addresses of the
// network 198.18.n.0/24 (RFC 2544: nobody's).
func (m *machine) attacked(ctx context.Context, g guard, n int) (time.Duration, error) {
	before := m.spent("")
	for minute := range minutes {
		begun := time.Now()
		var lines strings.Builder
		for i := range guesses {
			client := fmt.Sprintf("198.18.%d.%d port %d", n, (minute*guesses+i)/perClient, 40000+i)
			pid := 1000 + minute*guesses + i
			fmt.Fprintf(&lines, "logger -p auth.info -t sshd --id=%d <<END\nInvalid user oracle from %s\nFailed password for invalid user oracle from %s ssh2\nConnection closed by invalid user oracle %s [preauth]\nEND\n", pid, client, client, client)
		}
		cmd := m.command(ctx, "sh", "-e")
		cmd.Stdin = strings.NewReader(lines.String())
		if text, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("logger: %w\n%s", err, tail(text))
		}
		if g.pass != nil {
			if err := g.pass(); err != nil {
				return 0, err
			}
		}
		time.Sleep(gap - time.Since(begun))
	}
	return (m.spent("") - before) / minutes, nil
}

func firstLine(text string) string { line, _, _ := strings.Cut(text, "\n"); return line }
