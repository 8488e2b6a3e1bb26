package pass

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"scan2ban/scan/filter"
	"scan2ban/state"
)

// recounting is a host of which a jail's log files hold what its journal does.
type recounting struct {
	*host
	dir, log string
}

func newRecounting(t *testing.T) *recounting {
	h := newHost(t)
	h.setup.Rules["sshd"].FindTime, h.setup.Rules["sshd"].BanTime = state.Duration(30*time.Minute), state.Duration(2*time.Minute)
	r := &recounting{h, h.setup.JournalPath, filepath.Join(t.TempDir(), "auth.log")}
	onFiles(h, r.log)
	return r
}

// fails writes a failure for each second, to the log file and to the journal.
func (r *recounting) fails(address string, seconds ...int64) {
	for _, at := range seconds {
		r.failsTwice(r.log, at, address)
	}
}

// turn has the next pass read files or the journal, and the state say that passes read the other.
func (r *recounting) turn(now int64, to filter.Backend, more ...func(*state.State)) {
	from := filter.Journal
	if onFiles(r.host, r.log); to == filter.Journal {
		from = filter.File
		r.setup.JournalPath, r.setup.Watches[0].Backend = r.dir, filter.Auto
	}
	r.edit(now, func(s *state.State) {
		s.Sources.Backends = map[string]string{"sshd": string(from)}
		if s.Sources.Journal != nil {
			s.Sources.Path = r.setup.JournalPath
		}
		for _, change := range more {
			change(s)
		}
	})
}

// unban takes back what keeps the address out.
func (h *host) unban(now int64, address string) {
	h.t.Helper()
	p := h.read(now)
	defer p.Close()
	keys, err := Keys([]string{address})
	if err == nil {
		err = p.Unban(ByHand{Keys: keys})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	p.Commit(context.Background())
}

// same fails where the history has other bans.
func (r *recounting) same(want []string, n int) {
	r.t.Helper()
	if got := r.bans(); !slices.Equal(got, want) || len(got) != n {
		r.t.Errorf("bans %q, want %d: %q", got, n, want)
	}
}

const recountBegin = 1_795_335_241

// A log that is read instead of the journal may go back further than the bans that count.
func TestRecountedFromLongAgo(t *testing.T) {
	r := newRecounting(t)
	r.fails("203.0.113.1", recountBegin, recountBegin+1, recountBegin+2)
	r.pass(recountBegin + 3)
	r.fails("203.0.113.2", recountBegin+86400)
	r.pass(recountBegin + 86401)
	want := r.bans()
	r.turn(recountBegin+86402, filter.File, func(s *state.State) { // of a log that seldom says something
		s.Sources.Logs = &state.LogPosition{Time: (recountBegin + 2) * 1e6}
	})
	r.pass(recountBegin + 5*86400)
	r.same(want, 1)
}

// What was forgiven stays so, however long ago it was.
func TestRecountedUnban(t *testing.T) {
	r := newRecounting(t)
	r.fails("203.0.113.1", recountBegin, recountBegin+1, recountBegin+2)
	r.pass(recountBegin + 3)
	r.unban(recountBegin+4, "203.0.113.1")
	for at := int64(recountBegin + 86400); at < recountBegin+3*86400; at += 86400 {
		r.fails("203.0.113.2", at)
		if p := r.pass(at + 1); len(p.Ledger.Jail("sshd").Pardons) > 0 {
			t.Errorf("pardons: %v", p.Ledger.Jail("sshd").Pardons)
		}
	}
	want := r.bans()
	r.turn(recountBegin+3*86400, filter.Journal) // a journal that is named is read from its beginning
	r.pass(recountBegin + 3*86400 + 1)
	r.same(want, 1)
}

// A pass that stops because it has decided enough knows the same of what it leaves to the next one.
func TestRecountedInPasses(t *testing.T) {
	r := newRecounting(t)
	r.turn(recountBegin, filter.Journal)
	for i := range int64(3) { // the journal has lost them
		appendLine(t, r.log, recountBegin+i, "203.0.113.1")
	}
	for i := range 2000 { // more than is read at a time
		appendLine(t, r.log, recountBegin+5, fmt.Sprintf("198.51.%d.%d", i/250, i%250))
	}
	r.fails("203.0.113.2", recountBegin+10, recountBegin+11, recountBegin+12)
	r.pass(recountBegin + 13)
	r.fails("203.0.113.2", recountBegin+300)
	r.pass(recountBegin + 301)
	r.turn(recountBegin+301, filter.File)
	s := r.setup
	s.Now = time.Unix(recountBegin+301, 0)
	p, err := Begin(s)
	if err != nil {
		t.Fatal(err)
	}
	p.most = 1
	p.Read(context.Background())
	p.Commit(context.Background())
	p.Close()
	if !p.full {
		t.Fatal("all is read")
	}
	want := r.bans()
	r.pass(recountBegin + 302)
	r.same(want, 2)
	r.fails("203.0.113.2", recountBegin+400) // what comes later than elsewhere has come
	if p := r.pass(recountBegin + 401); p.Ledger.Jail("sshd").Recounted != 0 {
		t.Error("nothing is left to be read, and it is recounted")
	}
}

// Of a damaged history the ledger knows what is in force.
func TestRecountedWithoutHistory(t *testing.T) {
	r := newRecounting(t)
	r.fails("203.0.113.1", recountBegin, recountBegin+1, recountBegin+2, recountBegin+10)
	r.pass(recountBegin + 13)
	if n := len(r.bans()); n != 1 {
		t.Fatalf("%d bans", n)
	}
	r.damageHistory()
	r.turn(recountBegin+14, filter.Journal)
	p := r.tried(recountBegin + 15)
	r.same(nil, 0)
	for _, b := range p.Ledger.Jail("sshd").Bans() {
		if b.Late != 1 {
			t.Errorf("%d failures came during the ban", b.Late)
		}
	}
}

// The journal that is read again after log files is read from where it was left: what came
// since was judged, and what came before is not forgotten.
func TestRecountedBackAndForth(t *testing.T) {
	for name, named := range map[string]bool{"chosen": false, "named": true} {
		t.Run(name, func(t *testing.T) { backAndForth(t, named) })
	}
}

func backAndForth(t *testing.T, named bool) {
	r := newRecounting(t)
	told := func(s *state.State) {
		if named { // by backend = "file" and "journal": no choice is kept
			s.Sources.Backends = nil
		}
	}
	r.turn(recountBegin, filter.Journal, told)
	r.fails("203.0.113.3", recountBegin)
	r.pass(recountBegin + 1)
	r.turn(recountBegin+1, filter.File, told)
	r.fails("203.0.113.1", recountBegin+3, recountBegin+4, recountBegin+5)
	r.fails("203.0.113.3", recountBegin+200)
	r.pass(recountBegin + 201)
	want := r.bans()
	r.turn(recountBegin+300, filter.Journal, told)
	r.pass(recountBegin + 301)
	r.same(want, 1)
	r.fails("203.0.113.3", recountBegin+302)
	r.pass(recountBegin + 303)
	if got := r.bans(); len(got) != 2 || got[1] != fmt.Sprintf("sshd 203.0.113.3 %d %d 1", recountBegin+302, recountBegin+422) {
		t.Errorf("bans %q", got)
	}
}

// A log file that is read again goes on where it was left: what was read of it before counts
// still, to the last second.
func TestRecountedGoesOn(t *testing.T) {
	r := newRecounting(t)
	r.setup.JournalPath = r.dir
	turn := func(to filter.Backend) { r.setup.Watches[0].Backend = to }
	turn(filter.File)
	r.fails("203.0.113.1", recountBegin, recountBegin)
	r.pass(recountBegin + 1)
	turn(filter.Auto)
	log := r.log
	r.log += ".other"
	r.fails("203.0.113.2", recountBegin+700)
	r.pass(recountBegin + 701) // late enough to be saved
	r.log = log
	r.fails("203.0.113.1", recountBegin+1) // it comes late
	turn(filter.File)
	r.pass(recountBegin + 702)
	r.same([]string{fmt.Sprintf("sshd 203.0.113.1 %d %d 1", recountBegin+1, recountBegin+121)}, 1)
}

// A jail that was put out of work by an error, and reads another log file when it comes back,
// counts nothing twice.
func TestRecountedAfterAnError(t *testing.T) {
	r := newRecounting(t)
	other, watches := r.log+".other", r.setup.Watches
	for _, log := range []string{r.log, other} {
		appendLine(t, log, recountBegin, "203.0.113.1")
		appendLine(t, log, recountBegin+1, "203.0.113.1")
	}
	r.pass(recountBegin + 2)
	r.setup.Watches, r.setup.Kept = nil, map[string]bool{"sshd": true}
	r.unban(recountBegin+3, "203.0.113.9") // the state is saved
	r.setup.Watches, r.setup.Kept = watches, nil
	r.setup.Watches[0].Paths = []string{other}
	r.pass(recountBegin + 5)
	r.same(nil, 0)
	appendLine(t, other, recountBegin+6, "203.0.113.1")
	r.pass(recountBegin + 7)
	r.same([]string{fmt.Sprintf("sshd 203.0.113.1 %d %d 1", recountBegin+6, recountBegin+126)}, 1)
}

// A jail that could not read the log file that it was told to, and goes back to the journal,
// has forgotten nothing.
func TestRecountedInVain(t *testing.T) {
	r := newRecounting(t)
	r.setup.JournalPath = r.dir
	r.setup.Watches[0].Backend = filter.Auto
	r.fails("203.0.113.1", recountBegin, recountBegin+1)
	r.pass(recountBegin + 2)
	r.setup.Watches[0].Backend = filter.File
	r.setup.Watches[0].Paths = []string{r.log + "/none"}
	r.tried(recountBegin + 603) // late enough to be saved
	r.setup.Watches[0].Backend = filter.Auto
	r.fails("203.0.113.1", recountBegin+604)
	r.pass(recountBegin + 605)
	r.same([]string{fmt.Sprintf("sshd 203.0.113.1 %d %d 1", recountBegin+604, recountBegin+724)}, 1)
}

// What a log file has a little later than the journal was judged there.
func TestRecountedLate(t *testing.T) {
	r := newRecounting(t)
	r.setup.JournalPath = r.dir
	r.setup.Watches[0].Backend = filter.Auto
	lines := func(seconds ...int64) {
		for _, at := range seconds {
			appendLine(t, r.log, recountBegin+at, "203.0.113.1")
		}
	}
	log := r.log
	r.log += ".not yet"
	r.fails("203.0.113.1", recountBegin, recountBegin+1, recountBegin+2)
	r.pass(recountBegin + 3)
	want := r.bans()
	r.log = log
	lines(0)
	r.setup.Watches[0].Backend = filter.File
	r.pass(recountBegin + 4)
	lines(1, 2)
	r.pass(recountBegin + 5)
	lines(130)
	r.pass(recountBegin + 131)
	r.same(want, 1)
}

// So was what a log file has late though it holds something later already, as of two daemons.
func TestRecountedLateAndLater(t *testing.T) {
	r := newRecounting(t)
	r.setup.JournalPath = r.dir
	r.setup.Watches[0].Backend = filter.Auto
	log := r.log
	r.log += ".not yet"
	r.fails("203.0.113.1", recountBegin, recountBegin+1, recountBegin+2)
	r.pass(recountBegin + 3)
	want := r.bans()
	r.log = log
	r.setup.Watches[0].Backend = filter.File
	appendLine(t, r.log, recountBegin+4, "203.0.113.2")
	r.pass(recountBegin + 5)
	for _, at := range []int64{0, 1, 2} {
		appendLine(t, r.log, recountBegin+at, "203.0.113.1")
	}
	r.pass(recountBegin + 6)
	appendLine(t, r.log, recountBegin+130, "203.0.113.1")
	r.pass(recountBegin + 131)
	r.same(want, 1)
}

// A clock that was ahead while a jail changed its source, and is set back, keeps nobody from
// being banned.
func TestRecountedClockSetBack(t *testing.T) {
	r := newRecounting(t)
	r.setup.JournalPath = r.dir
	r.fails("203.0.113.9", recountBegin)
	r.pass(recountBegin + 1)
	r.setup.Watches[0].Backend = filter.Auto
	r.fails("203.0.113.8", recountBegin+600)
	r.pass(recountBegin + 601)
	r.setup.Watches[0].Backend = filter.File
	r.pass(recountBegin + 1202) // late enough to be saved
	const now = recountBegin - 86400
	for i := range int64(3) {
		appendLine(t, r.log, now+i, "203.0.113.1")
	}
	r.pass(now + 3)
	r.same([]string{fmt.Sprintf("sshd 203.0.113.1 %d %d 1", now+2, now+122)}, 1)
}
