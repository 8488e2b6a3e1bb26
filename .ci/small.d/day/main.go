// Day plays the 1,440 passes of a day, one for each minute, with a clock of its own,
// over a log that grows as a host's does. What it writes is counted by who starts it.
//
//	day KIND STATE LOG     an auth.log
//	day KIND STATE DIR/    a journal, by systemd-journal-remote
//
// KIND is idle, scanned (1,000 failures from 200 addresses) or attacked (100,000 from
// 1,000, all of which are logged: nothing is kept out). It prints what the last pass
// knows as JSON.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"scan2ban/ban/nftables"
	"scan2ban/scan/jail"
	"scan2ban/scan/journal/journaltest"
	"scan2ban/scan/pass"
)

func main() {
	err := errors.New("usage: day idle|scanned|attacked STATE LOG|DIR/")
	if len(os.Args) == 4 {
		err = play(os.Args[1], os.Args[2], os.Args[3])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "day:", err)
		os.Exit(1)
	}
}

// kinds are failures a day and the addresses that they come from.
var kinds = map[string][2]int{"idle": {0, 1}, "scanned": {1000, 200}, "attacked": {100_000, 1000}}

const minutes = 24 * 60

func play(kind, state, log string) error {
	amount, known := kinds[kind]
	if !known {
		return fmt.Errorf("no kind %q", kind)
	}
	config, err := jail.Load(filepath.Join(filepath.Dir(filepath.Clean(log)), "day.toml"))
	if err != nil {
		return err
	}
	write, journal := appendLog, ""
	if strings.HasSuffix(log, "/") {
		w, err := openJournal(log)
		if err != nil {
			return err
		}
		defer w.close()
		write, journal = w.append, log
	}
	dice := rand.New(rand.NewPCG(1, 2))
	from := time.Now().Add(-25 * time.Hour).Truncate(time.Minute)
	var sum struct{ Failures, Banned int64 }
	for minute := range minutes {
		entries := []journaltest.Entry{entry(from, "CRON", "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)")}
		for range amount[0]*(minute+1)/minutes - amount[0]*minute/minutes {
			n := dice.IntN(amount[1])
			entries = append(entries, entry(from.Add(time.Duration(len(entries))*500*time.Millisecond), "sshd",
				fmt.Sprintf("Failed password for root from 11.0.%d.%d port 4711 ssh2", n>>8, n&255)))
		}
		if err := write(log, entries); err != nil {
			return err
		}
		from = from.Add(time.Minute)
		setup := config.Setup()
		setup.StatePath, setup.JournalPath, setup.Now, setup.Write = state, journal, from.Add(time.Second), true
		setup.Kernel.Backend = nftables.ByHooks // the kernel's clock is another
		p, err := pass.Begin(setup)
		if err != nil {
			return err
		}
		p.Read(context.Background())
		p.Commit(context.Background())
		err = errors.Join(p.Errs...)
		seen := p.Ledger.Jail("sshd").Seen.Total // not what the passes read: where none is saved, the next reads again
		sum.Failures, sum.Banned = seen.Failures, seen.Bans
		p.Close()
		if err != nil || len(p.Warnings) > 0 {
			return fmt.Errorf("minute %d: %v %q", minute, err, p.Warnings)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(sum)
}

var pid = 1000

func entry(at time.Time, program, text string) journaltest.Entry {
	pid++
	return journaltest.Entry{Time: at.UnixMicro(), Message: text, Fields: map[string]string{"SYSLOG_IDENTIFIER": program, "_PID": fmt.Sprint(pid),
		"_UID": "0", "_TRANSPORT": "syslog", "PRIORITY": "6", "_SYSTEMD_UNIT": map[bool]string{true: "ssh.service", false: "cron.service"}[program == "sshd"]}}
}

func appendLog(path string, entries []journaltest.Entry) error {
	var text bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&text, "%s host %s[%s]: %s\n", time.UnixMicro(e.Time).UTC().Format("Jan _2 15:04:05"), e.Fields["SYSLOG_IDENTIFIER"], e.Fields["_PID"], e.Message)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(text.Bytes())
		err = errors.Join(err, f.Close())
	}
	return err
}

// writer is a systemd-journal-remote that appends to one file until it is closed.
type writer struct {
	path  string
	in    io.WriteCloser
	count uint64 // of the entries
	cmd   *exec.Cmd
}

func openJournal(dir string) (*writer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	remote := "/usr/lib/systemd/systemd-journal-remote"
	if _, err := os.Stat(remote); err != nil {
		remote = strings.TrimPrefix(remote, "/usr")
	}
	w := &writer{path: filepath.Join(dir, "system.journal")}
	w.cmd = exec.Command(remote, "--output="+w.path, "-")
	in, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	w.in = in
	return w, w.cmd.Start()
}

// append returns when the file has them: its header counts (n_entries of struct
// Header, journal-def.h).
func (w *writer) append(_ string, entries []journaltest.Entry) error {
	const counter = 152
	if _, err := w.in.Write(journaltest.Export(entries)); err != nil {
		return fmt.Errorf("systemd-journal-remote: %w", err)
	}
	w.count += uint64(len(entries))
	var has uint64
	for range 60_000 {
		var n [8]byte
		if f, err := os.Open(w.path); err == nil {
			f.ReadAt(n[:], counter) // a file that is being made is short
			f.Close()
		}
		if has = binary.LittleEndian.Uint64(n[:]); has == w.count {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("the journal has %d entries, not %d", has, w.count)
}

func (w *writer) close() error { return errors.Join(w.in.Close(), w.cmd.Wait()) }
