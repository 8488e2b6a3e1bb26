package deliver

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"scan2ban/state"
	"scan2ban/state/report"
)

// A desk is a state with a history, a sendmail that keeps what it gets, and a hook.
type desk struct {
	*testing.T
	Options
	dir    string
	store  *state.Store
	ledger *state.State
	said   bytes.Buffer
	n      int
}

func newDesk(t *testing.T) *desk {
	d := &desk{T: t, dir: t.TempDir(), ledger: state.New()}
	d.StatePath, d.Now, d.Out = filepath.Join(d.dir, "state.json"), time.Unix(1_800_000_000, 0), &d.said
	d.Mail = DefaultMail()
	d.Mail.Sendmail = d.script("sendmail", `[ ! -e fail ] || { echo "451 not today"; exit 75; }
cat > mail.$(ls mail.* 2>/dev/null | wc -l)`)
	d.Status = func() (*report.Status, error) { return report.NewStatus(nil, nil, d.Now.Unix()), nil }
	store, err := state.OpenStore(d.StatePath, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	d.store = store
	d.ledger.Jail("sshd").Reach = state.Reach{Ports: state.Ports{{From: 22, To: 22}}, Protocol: []string{"tcp"}, Enforce: true}
	d.decide(state.Decision{Verb: state.Rebuilt, Text: "first run"})
	return d
}

// script lays a program of sh down that runs in the desk's directory.
func (d *desk) script(name, text string) string {
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncd "+d.dir+"\n"+text+"\n"), 0o755); err != nil {
		d.Fatal(err)
	}
	return path
}

// hook adds a hook that runs the text.
func (d *desk) hook(text string) *Hook {
	h := DefaultHook()
	h.Run = []string{d.script(fmt.Sprintf("hook%d", len(d.Hooks)), text), "secret"}
	h.On = EventNames
	d.Hooks = append(d.Hooks, h)
	return &d.Hooks[len(d.Hooks)-1]
}

// decide puts decisions into the history, as a pass does.
func (d *desk) decide(list ...state.Decision) {
	for i := range list {
		if list[i].Time == 0 {
			list[i].Time = d.Now.Unix()
		}
		list[i].Identify()
	}
	d.n++
	if err := d.store.Commit(d.ledger, list, d.Now.Unix()); err != nil {
		d.Fatal(err)
	}
}

// ban decides bans of n addresses, by users with these names.
func (d *desk) ban(n int, users ...string) {
	var list []state.Decision
	for i := range n {
		key := state.Key{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(d.n), byte(i)}), 32)}
		until := d.Now.Unix() + 3600
		list = append(list, state.Decision{Verb: state.Banned, Jail: "sshd", Address: key.String(), Key: &key, Since: d.Now.Unix(), Until: &until, Failures: 5, N: 1, Users: users, Rule: "failed-password", Enforced: true})
	}
	d.decide(list...)
}

func (d *desk) run() error {
	d.Helper()
	return Run(d.Context(), d.Options)
}

func (d *desk) ran() {
	d.Helper()
	if err := d.run(); err != nil {
		d.Fatal(err)
	}
}

// later moves the clock.
func (d *desk) later(by time.Duration) { d.Now = d.Now.Add(by) }

// read gives a file of the desk, empty where there is none.
func (d *desk) read(name string) string {
	text, _ := os.ReadFile(filepath.Join(d.dir, name))
	return string(text)
}

func (d *desk) mails() (list []string) {
	for i := 0; ; i++ {
		text := d.read(fmt.Sprintf("mail.%d", i))
		if text == "" {
			return list
		}
		list = append(list, text)
	}
}

func (d *desk) wantMails(n int) []string {
	d.Helper()
	list := d.mails()
	if len(list) != n {
		d.Fatalf("%d mails, want %d: %q", len(list), n, list)
	}
	return list
}

func (d *desk) due() bool { return len(d.Due(d.StatePath, d.ledger, d.Now)) > 0 }
