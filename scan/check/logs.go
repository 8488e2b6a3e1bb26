package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"scan2ban/scan"
	"scan2ban/scan/filter"
	"scan2ban/scan/journal"
	"scan2ban/scan/logfile"
	"scan2ban/state"
	"scan2ban/state/report"
)

const (
	span       = 24 * time.Hour   // how far back the logs are read
	readLimit  = 25 * time.Second // how long that may take
	samples    = 3                // lines shown of those that nothing understands
	enough     = 20               // entries from which on a share says something
	maxClients = 200_000          // addresses told apart; of more, the first ones
)

// heard is what a jail's logs of the last day hold.
type heard struct {
	state.Tally
	sessions *state.Sessions
	clients  map[netip.Addr]*client
	strange  []string // lines that no rule understands, those with an address first
	telling  int      // how many of them have one
}

// client is one address.
type client struct {
	failures, successes int
	user                string // of its last success
}

func newHeard() *heard {
	return &heard{sessions: state.NewSessions(), clients: map[netip.Addr]*client{}}
}

// add takes a finding and its line.
func (h *heard) add(f scan.Finding, line []byte) {
	h.Add(f.Tally())
	if !f.Verdict.Understood() {
		h.wonder(line)
	}
	e, ok := f.Event()
	if !ok {
		return
	}
	switch e.Kind {
	case state.KindMark:
		h.sessions.Mark(&e)
	case state.KindSuccess:
		h.sessions.Heard(&e)
		if c := h.client(e.Addr); c != nil {
			c.successes++
			c.user = e.User
		}
	case state.KindFailure:
		if c := h.client(e.Addr); h.sessions.Counts(&e) && c != nil {
			c.failures += e.Weight
			h.Failures++
		}
	}
}

// wonder keeps a line as a sample. One with an address is more likely to be what a
// filter should have understood.
func (h *heard) wonder(line []byte) {
	if h.telling == samples {
		return
	}
	line = line[:min(len(line), 500)]
	telling := slices.ContainsFunc(strings.FieldsFunc(string(line), func(r rune) bool { return strings.ContainsRune(" []()<>,;=\"'", r) }), func(word string) bool {
		_, err := netip.ParseAddr(strings.TrimSuffix(word, ":"))
		return err == nil
	})
	switch {
	case telling:
		h.strange = slices.Insert(h.strange, h.telling, string(line))
		h.telling++
	case len(h.strange) < samples:
		h.strange = append(h.strange, string(line))
	}
	h.strange = h.strange[:min(len(h.strange), samples)]
}

// client is nil for an address that is none, or one too many.
func (h *heard) client(addr netip.Addr) *client {
	c := h.clients[addr]
	if c == nil && addr.IsValid() && len(h.clients) < maxClients {
		c = &client{}
		h.clients[addr] = c
	}
	return c
}

// logs reads what was logged in the last day, by each jail's filter.
func logs(ctx context.Context, c *checker, found *report.Findings) {
	if len(c.Watches) == 0 {
		return
	}
	by := map[string]*heard{}
	for _, w := range c.Watches {
		by[w.Jail] = newHeard()
	}
	gaps, warnings, err := c.listen(ctx, by)
	for _, text := range untold(c.JournalPath, warnings) {
		found.Warn("journal", text, "")
	}
	when := "in the last 24 hours"
	switch {
	case c.JournalPath != "":
		when = "in this journal"
	case errors.Is(err, context.DeadlineExceeded):
		when, err = fmt.Sprintf("in the part of the last 24 hours that could be read in %s", readLimit), nil
	}
	if err != nil && !errors.Is(err, journal.ErrNoJournal) {
		c.lacking(found, "jails", fmt.Errorf("the logs of the last 24 hours: %w", err), "see the finding on the journal")
		return
	}
	for _, j := range c.Jails {
		if h := by[j.Name]; h != nil {
			c.source(ctx, found, j, h, when)
			c.offenders(found, j, h, when)
		}
	}
	suppressed(found, gaps, when)
}

// untold are the warnings but for those of files that readable names.
func untold(path string, warnings []string) []string {
	_, err := journal.Files(path)
	if err == nil || errors.Is(err, journal.ErrNoJournal) {
		return warnings
	}
	for line := range strings.Lines(err.Error()) {
		file, _, _ := strings.Cut(line, ": ") // journal file PATH
		warnings = slices.DeleteFunc(warnings, func(w string) bool { return strings.HasPrefix(w, file+" is ") })
	}
	return warnings
}

// listen reads the journal into by, for the jails that may read there.
func (c *checker) listen(ctx context.Context, by map[string]*heard) (gaps []journal.Gap, warnings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	watches := scan.InJournal(c.Watches)
	if len(watches) == 0 {
		return nil, nil, nil
	}
	from := journal.Options{Path: c.JournalPath, Now: c.Now.UnixMicro(), Fields: scan.Fields(watches), Matches: scan.Matches(watches)}
	if c.JournalPath == "" {
		from.Since = c.Now.Add(-span).UnixMicro()
	}
	r, err := journal.Open(ctx, from)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	scan.Journal(r, watches, scan.Limit{Second: c.Now.Unix()}, func(f scan.Finding) { by[f.Jail].add(f, r.Message()) })
	return r.Gaps(), r.Warnings(), r.Err()
}

// source says where a jail reads, why, and what of it is understood.
func (c *checker) source(ctx context.Context, found *report.Findings, j Jail, h *heard, when string) {
	what := "jail " + j.Name
	if len(j.Containers) > 0 {
		c.listenFiles(ctx, j, h)
		understood(found, j, h, when, "reads "+c.ofContainers(j))
		return
	}
	held := h.Entries > 0
	if !held && j.Backend != filter.File {
		var err error
		if held, err = c.held(ctx, j.Name); err != nil {
			c.lacking(found, what, fmt.Errorf("where it reads cannot be told: %w", err), "see the finding on the journal")
			return
		}
	}
	if _, err := journal.Files(c.JournalPath); !held && j.Backend != filter.File && errors.Is(err, fs.ErrPermission) {
		found.Note(what, "where it reads cannot be told without the journal ("+asRoot+")")
		return
	}
	reads := fmt.Sprintf("reads the journal (backend = %q)", j.Backend)
	if !c.readsJournal(j, held) {
		reads = fmt.Sprintf("reads log files (backend = %q)", j.Backend)
		switch {
		case j.Backend == filter.Auto && held && !c.systemd:
			reads = `reads log files (backend = "auto", and journald does not run)`
		case j.Backend == filter.Auto:
			reads = `reads log files (backend = "auto", and the journal holds nothing of it)`
		}
		held = true
		c.listenFiles(ctx, j, h)
	}
	switch {
	case !held && c.JournalPath == "" && j.Filter == "sshd" && !c.listens():
		found.Note(what, reads+", which holds no entry of it; sshd does not run here")
	case !held && j.Filter == "sshd":
		found.Warn(what, reads+", which holds no entry of it: is the service installed, and does it log to the journal?",
			"journalctl -n 5 SYSLOG_IDENTIFIER=sshd; LogLevel and SyslogFacility in sshd_config")
	case !held && j.Backend == filter.Auto && len(j.LogPaths) > 0:
		found.Warn(what, fmt.Sprintf("reads nothing yet: the journal holds no entry of it, and of its log files there is none (%s)", strings.Join(j.LogPaths, ", ")),
			"is the service installed, and where does it log? logpath in [jail."+j.Name+"]")
	case !held:
		found.Warn(what, reads+", which holds no entry of it: is the service installed, and does it log to the journal?",
			"scan2ban filters "+j.Filter+" (what it looks for)")
	default:
		understood(found, j, h, when, reads)
	}
}

// understood says what a filter made of what its jail reads.
func understood(found *report.Findings, j Jail, h *heard, when, reads string) {
	what, try := "jail "+j.Name, "scan2ban match "+j.Filter
	numbers := fmt.Sprintf("%s: %s, %d understood, %s", when, state.Plural(int(h.Entries), "entry"), h.Understood, state.Plural(int(h.Failures), "failure"))
	refused, reason := h.Refusals()
	switch {
	case refused == 0:
	case refused == h.Entries:
		numbers += "; all are refused, most because: " + reason
	default:
		numbers += fmt.Sprintf("; %d are refused, most because: %s", refused, reason)
	}
	switch {
	case h.Entries == 0:
		found.OK(what, reads+"; nothing of it "+when)
	case h.Understood == 0 && h.Entries >= 5:
		found.Fail(what, reads+"; blind: "+numbers+". Nobody will be banned", try, h.strange...)
	case h.Entries >= enough && h.Understood*2 < h.Entries:
		found.Warn(what, reads+"; "+numbers+". Failures may be missed", try, h.strange...)
	default:
		found.OK(what, reads+"; "+numbers)
	}
}

// listenFiles reads the last day of a jail's log files into h. What cannot be read
// is told by logFiles.
func (c *checker) listenFiles(ctx context.Context, j Jail, h *heard) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	i := slices.IndexFunc(c.Watches, func(w scan.Watch) bool { return w.Jail == j.Name && (!w.Container || len(w.Paths) > 0) })
	if i < 0 {
		return
	}
	var paths []string
	for _, path := range j.LogPaths {
		paths = append(paths, c.root.Path(path))
	}
	if c.Watches[i].Container {
		paths = c.Watches[i].Paths
	}
	group := c.Watches[i].Group()
	group.Paths, group.Zone = paths, j.Zone
	lines := func(line *logfile.Line) bool {
		f, own := c.Watches[i].Line(line, 0)
		if own {
			h.add(f, line.Text)
		}
		return false
	}
	r := logfile.Open(ctx, logfile.Options{Groups: []logfile.Group{group}, Since: c.Now.Add(-span).Unix(), Now: c.Now.Unix(), Look: lines})
	defer r.Close()
	for r.Next() {
	}
}

// listens tells whether sshd does, as far as that is known.
func (c *checker) listens() bool {
	_, _, err := c.sshPorts()
	return err == nil
}

// suppressed tells of what journald dropped in floods.
func suppressed(found *report.Findings, gaps []journal.Gap, when string) {
	lost, unit := 0, ""
	for _, g := range gaps {
		if g.Unit != "" && g.Lost > 0 {
			lost, unit = lost+g.Lost, g.Unit
		}
	}
	if lost > 0 {
		found.Warn("journald", fmt.Sprintf("%s it dropped %s of %s in floods: failures among them are not counted", when, state.Plural(lost, "message"), unit),
			fmt.Sprintf("systemctl edit %s, and write\n[Service]\nLogRateLimitIntervalSec=0", unit))
	}
}
