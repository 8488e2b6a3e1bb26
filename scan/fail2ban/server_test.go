//go:build cgo && !race

package fail2ban

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is Fail2Ban's, in a network namespace of its own, with a clock of its own.
type server struct {
	t      *testing.T
	root   string // of Fail2Ban's package
	dir    string
	python func(args ...string) *exec.Cmd
	cmd    *exec.Cmd
	lines  chan string     // what it says
	seen   map[string]int  // by jail: how often it said what is awaited
	said   strings.Builder // what is not usual
}

// last is an address that each jail is told to ban at the end: a jail bans one after
// another, in the order in which they were found.
const last = "198.18.0.3"

var awaited = regexp.MustCompile(`\[([\w-]+)\] (?:Ignore ` + regexp.QuoteMeta(marker) + ` by ip|Ban ` + regexp.QuoteMeta(last) + `)$`)

// usual is what the server says of each ban and at each start. In the recordings who is
// banned goes on.
var usual = regexp.MustCompile(` (INFO|NOTICE) |^Server ready$|already banned$|'allowipv6' not defined|New database created`)

// serve starts Fail2Ban's server on the configuration dir/fail2ban.
func serve(t *testing.T, root string, python func(args ...string) *exec.Cmd, dir string) *server {
	s := &server{t: t, root: root, dir: dir, python: python, lines: make(chan string, 4096), seen: map[string]int{}}
	c := s.fail2ban("server", "-f", "--loglevel", "INFO", "--logtarget", "STDOUT", "start")
	s.cmd = exec.Command("unshare", append([]string{"--net"}, c.Args...)...)
	s.cmd.Env = c.Env
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			s.lines <- lines.Text()
		}
		close(s.lines)
	}()
	t.Cleanup(func() {
		s.cmd.Process.Signal(syscall.SIGKILL) // it would take back each ban
		for range s.lines {
		}
		s.cmd.Wait()
	})
	return s
}

// fail2ban is a call of its server or client for this server.
func (s *server) fail2ban(program string, args ...string) *exec.Cmd {
	c := s.python(append([]string{filepath.Join(s.root, "usr/bin/fail2ban-"+program), "-c", filepath.Join(s.dir, "fail2ban"),
		"-s", filepath.Join(s.dir, "socket"), "-p", filepath.Join(s.dir, "pid")}, args...)...)
	for i, v := range c.Env {
		if modules, ok := strings.CutPrefix(v, "PYTHONPATH="); ok {
			c.Env[i] = "PYTHONPATH=" + filepath.Join(s.dir, "python") + ":" + modules
		}
	}
	c.Env = append(c.Env, "TZ=UTC", "CLOCK="+filepath.Join(s.dir, "clock"), "MARKER="+marker)
	return c
}

// clock sets the time that the server has.
func (s *server) clock(now time.Time) {
	if err := os.Chtimes(filepath.Join(s.dir, "clock"), now, now); err != nil {
		s.t.Fatal(err)
	}
}

// await returns when each of the jails has ignored the marker once more, or banned the
// last address.
func (s *server) await(jails []string) {
	s.t.Helper()
	const long = time.Minute
	late := time.NewTimer(long)
	defer late.Stop()
	for _, jail := range jails {
		for s.seen[jail] == 0 {
			select {
			case line, ok := <-s.lines:
				if !ok {
					s.t.Fatalf("Fail2Ban ended:\n%s", s.said.String())
				}
				if m := awaited.FindStringSubmatch(line); m != nil {
					s.seen[m[1]]++
				} else if !usual.MatchString(line) {
					fmt.Fprintln(&s.said, line)
				}
				late.Reset(long)
			case <-late.C:
				s.t.Fatalf("Fail2Ban has said nothing for %v, nor that its jail %s has read on:\n%s", long, jail, s.said.String())
			}
		}
		s.seen[jail]--
	}
}

// bans are those of each jail, with the time of each, when all that was found is in the
// kernel.
func (s *server) bans(jails []string) map[string]map[string]int64 {
	var attempts, questions []string
	for _, jail := range jails {
		attempts = append(attempts, "set "+jail+" attempt "+last+" 1 2 3 4 5")
		questions = append(questions, "get "+jail+" banip --with-time")
	}
	s.client(attempts)
	s.await(jails) // and what it banned before is in the kernel
	kernel := map[string]map[string]bool{}
	for _, jail := range jails {
		list := exec.Command("nsenter", "-t", strconv.Itoa(s.cmd.Process.Pid), "-n", "nft", "-j", "list", "table", "inet", "f2b-table")
		kernel[jail] = elements(s.t, list, "addr-set-"+jail, "addr6-set-"+jail)
		delete(kernel[jail], last)
	}
	bans, answers := map[string]map[string]int64{}, s.client(questions)
	for i, jail := range jails {
		bans[jail] = map[string]int64{}
		for _, m := range banned.FindAllStringSubmatch(answers[i], -1) {
			at, err := time.Parse("2006-01-02 15:04:05", m[2])
			if err != nil {
				s.t.Fatal(err)
			}
			if m[1] == last {
				continue
			}
			bans[jail][m[1]] = at.Unix()
			if !kernel[jail][m[1]] {
				s.t.Errorf("Fail2Ban's jail %s bans %s, but not in the kernel", jail, m[1])
			}
		}
		if len(bans[jail]) != len(kernel[jail]) {
			s.t.Errorf("Fail2Ban's jail %s: %d bans, %d in the kernel", jail, len(bans[jail]), len(kernel[jail]))
		}
	}
	return bans
}

var banned = regexp.MustCompile(`([0-9a-f.:]+) +\t(\S+ \S+) \+ `)

// client gives commands to Fail2Ban's client, and its answers back.
func (s *server) client(commands []string) []string {
	const prompt = "fail2ban> "
	c := s.fail2ban("client", "-i")
	c.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	text, err := c.CombinedOutput()
	answers := strings.Split(string(text), prompt)
	if len(answers) != len(commands)+2 { // what it says before, and at the end
		s.t.Fatalf("fail2ban-client: %v\n%s", err, text)
	}
	return answers[1 : len(commands)+1]
}

// elements are the addresses in sets of a table that nft lists.
func elements(t *testing.T, list *exec.Cmd, sets ...string) map[string]bool {
	t.Helper()
	text, err := list.Output()
	var table struct {
		Nftables []struct {
			Set struct {
				Name string
				Elem []any
			}
		}
	}
	if err == nil {
		err = json.Unmarshal(text, &table)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", list, err, text)
	}
	all := map[string]bool{}
	for _, object := range table.Nftables {
		if object.Set.Name != sets[0] && object.Set.Name != sets[1] {
			continue
		}
		for _, element := range object.Set.Elem {
			for {
				inner, ok := element.(map[string]any)
				if !ok {
					break
				}
				if element = inner["elem"]; element == nil {
					element = inner["val"]
				}
			}
			all[fmt.Sprint(element)] = true
		}
	}
	return all
}
