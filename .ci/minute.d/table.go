package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"scan2ban/units/host"
)

// variant is a way to run the passes.
type variant struct {
	name    string
	build   string
	dropIns []string                 // of package host
	edit    func(text []byte) []byte // of scan2ban.service; may be nil
	budget  float64                  // of Fail2Ban's idle minute; 0: none
	costs   []cost
}

func (v *variant) cost(idle cost) cost {
	pick := func(of func(cost) time.Duration) time.Duration {
		var list []time.Duration
		for _, c := range v.costs {
			list = append(list, of(c))
		}
		return median(list) - of(idle)
	}
	return cost{all: pick(func(c cost) time.Duration { return c.all }), init: pick(func(c cost) time.Duration { return c.init })}
}

// lay writes the units of a variant.
func (v *variant) lay(ctx context.Context, m *machine) error {
	dir := filepath.Join(m.root, "etc/systemd/system")
	service := host.Unit("scan2ban.service", "/usr/local/sbin/scan2ban-"+v.build)
	if v.edit != nil {
		service = v.edit(service)
	}
	os.RemoveAll(filepath.Join(dir, "scan2ban.service.d"))
	files := map[string][]byte{
		"scan2ban.service":         service,
		"scan2ban.timer":           []byte("[Timer]\nOnActiveSec=1s\nOnUnitActiveSec=1s\nAccuracySec=1ms\n"),
		"scan2ban-restore.service": host.Unit("scan2ban-restore.service", "/usr/local/sbin/scan2ban-"+v.build),
	}
	for _, name := range v.dropIns {
		files["scan2ban.service.d/"+name+".conf"] = host.DropIn(name)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o644)); err != nil {
			return err
		}
	}
	return m.do(ctx, "systemctl", "daemon-reload")
}

// rounds measures all variants, a block of each in turn, so that what slows the
// machine for a while slows all.
func rounds(ctx context.Context, o options, m *machine, list []*variant) error {
	for round := range o.rounds {
		for _, v := range list {
			if err := v.lay(ctx, m); err != nil {
				return err
			}
			costs, err := m.passes(ctx, o.passes)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", v.name, v.build, err)
			}
			v.costs = append(v.costs, costs...)
			progress("round %d, %s, %s: %s", round+1, v.name, v.build, ms(v.cost(cost{}).all))
		}
	}
	return nil
}

var level = regexp.MustCompile(`exposure level for \S+: ([0-9.]+)`)

// usual are the drop-ins that an install lays down with this systemd.
func (m *machine) usual(ctx context.Context) []string {
	var version int
	fmt.Sscanf(m.said(ctx, "systemctl", "--version"), "systemd %d", &version)
	if version >= 257 {
		return []string{"disconnected"}
	}
	return nil
}

// exposure is what systemd-analyze thinks of a unit that is laid down.
func exposure(ctx context.Context, m *machine, unit string) string {
	if found := level.FindStringSubmatch(m.said(ctx, "systemd-analyze", "security", "--no-pager", unit)); found != nil {
		return found[1]
	}
	return "?"
}

// startFail2Ban starts it and waits until it has settled.
func (m *machine) startFail2Ban(ctx context.Context) error {
	if err := m.do(ctx, "systemctl", "start", "fail2ban"); err != nil {
		return err
	}
	if !strings.Contains(m.said(ctx, "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do fail2ban-client status sshd && break; sleep 1; done"), "Journal matches") {
		return errors.New("Fail2Ban does not guard sshd by the journal")
	}
	time.Sleep(10 * time.Second)
	return nil
}

// table prints exposures and costs.
func table(ctx context.Context, o options, m *machine) error {
	usual := m.usual(ctx)
	list := []*variant{
		{name: "default", build: "cgo", dropIns: usual, budget: 0.5}, {name: "light", build: "cgo", dropIns: []string{"light"}, budget: 0.15},
		{name: "default", build: "static", dropIns: usual, budget: 0.5}, {name: "light", build: "static", dropIns: []string{"light"}, budget: 0.15},
	}
	version, _, _ := strings.Cut(m.said(ctx, "systemctl", "--version"), "\n")
	fmt.Printf("\n%s\n\n| unit | exposure |\n|---|--:|\n", version)
	for _, dropIns := range [][]string{nil, {"logfiles"}, {"light"}, {"light", "logfiles"}} {
		if !slices.Contains(dropIns, "light") {
			dropIns = append(dropIns, usual...)
		}
		v := &variant{build: "cgo", dropIns: dropIns}
		if err := v.lay(ctx, m); err != nil {
			return err
		}
		fmt.Printf("| scan2ban.service %s | %s |\n", strings.Join(dropIns, ", "), exposure(ctx, m, "scan2ban.service"))
	}
	fmt.Printf("| scan2ban-restore.service | %s |\n", exposure(ctx, m, "scan2ban-restore.service"))
	if text, err := m.command(ctx, "systemd-analyze", "verify", "--man=no", "scan2ban.service", "scan2ban-restore.service").CombinedOutput(); err != nil || len(text) > 0 {
		fmt.Printf("\nsystemd-analyze verify: %v\n%s\n", err, text)
	}
	fmt.Printf("| fail2ban.service | %s |\n", exposure(ctx, m, "fail2ban.service"))

	idle := m.idle(10 * time.Second)
	idle.all, idle.init = idle.all/10, idle.init/10
	if err := rounds(ctx, o, m, list); err != nil {
		return err
	}
	progress("Fail2Ban for %s", o.peer)
	if err := m.startFail2Ban(ctx); err != nil {
		return err
	}
	before := m.spent("system.slice/fail2ban.service")
	time.Sleep(o.peer)
	peer := time.Duration(float64(m.spent("system.slice/fail2ban.service")-before) * float64(time.Minute) / float64(o.peer))
	fmt.Printf("\nFail2Ban's idle minute: %s of processor time. A pass a minute:\n\n", ms(peer))
	fmt.Println("| units | build | ms | of it PID 1 | against Fail2Ban | budget | |\n|---|---|--:|--:|--:|--:|---|")
	for _, v := range list {
		c := v.cost(idle)
		ratio, verdict := float64(c.all)/float64(peer), "met"
		if ratio > v.budget {
			verdict = "**missed**"
		}
		fmt.Printf("| %s | %s | %s | %s | %.2f x | %.2f x | %s |\n", v.name, v.build, ms(c.all), ms(c.init), ratio, v.budget, verdict)
	}
	return nil
}

// keptLines are the keys of scan2ban.service that ablate leaves alone: without them
// it is not the same pass.
var keptLines = []string{"Description", "Documentation", "StartLimitIntervalSec", "Type", "ExecStart", "SuccessExitStatus",
	"TimeoutStartSec", "User", "AmbientCapabilities", "SupplementaryGroups", "StateDirectory", "StateDirectoryMode",
	"RuntimeDirectory", "RuntimeDirectoryPreserve", "LogLevelMax", "Also"}

// ablate prints what is saved when a line is left out, of the unit as it is
// installed or of the light one.
func ablate(ctx context.Context, o options, m *machine) error {
	dropIns, light := m.usual(ctx), host.DropIn("light")
	if o.light {
		dropIns = []string{"light"}
	}
	list := []*variant{{name: "all lines", build: "cgo", dropIns: dropIns}}
	text := host.Unit("scan2ban.service", "")
	for line := range bytes.Lines(text) {
		line := bytes.Clone(line)
		key, _, ok := bytes.Cut(line, []byte("="))
		if !ok || line[0] == '#' || slices.Contains(keptLines, string(key)) ||
			o.light && bytes.Contains(light, []byte("\n"+string(key)+"=")) {
			continue
		}
		list = append(list, &variant{name: "without " + string(bytes.TrimSpace(line)), build: "cgo", dropIns: dropIns,
			edit: func(text []byte) []byte { return bytes.Replace(text, line, nil, 1) }})
	}
	if !o.light {
		list = append(list, &variant{name: "light", build: "cgo", dropIns: []string{"light"}})
	}
	if err := rounds(ctx, o, m, list); err != nil {
		return err
	}
	all := list[0].cost(cost{}).all
	fmt.Println("\n| scan2ban.service | exposure | ms | saved |\n|---|--:|--:|--:|")
	for _, v := range list {
		if err := v.lay(ctx, m); err != nil {
			return err
		}
		c := v.cost(cost{}).all
		fmt.Printf("| %s | %s | %s | %s |\n", v.name, exposure(ctx, m, "scan2ban.service"), ms(c), ms(all-c))
	}
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1e3) }
