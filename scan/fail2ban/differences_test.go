//go:build cgo && !race

package fail2ban

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/scan/journal/journaltest"
)

// difference is a row of differences.tsv without its reason.
type difference struct{ source, filters, jail, address, ours, theirs string }

func differences(t *testing.T) map[difference]string {
	all := map[difference]string{}
	for _, line := range read(t, filepath.Join(filepath.Dir(journaltest.Dir()), "fail2ban/differences.tsv")) {
		f := strings.Split(line, "\t")
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		if len(f) != 7 || f[6] == "" {
			t.Fatalf("differences.tsv: %q is not a row of seven", line)
		}
		all[difference{f[0], f[1], f[2], f[3], f[4], f[5]}] = f[6]
	}
	return all
}

// compare tells what differs otherwise than the table has it.
func (s *side) compare(filters string, ours, theirs map[string]map[string]int64, want map[difference]string) {
	at := func(bans map[string]int64, address string) string {
		since, ok := bans[address]
		if !ok {
			return "-"
		}
		return time.Unix(since, 0).Add(-s.shift).UTC().Format("15:04:05")
	}
	found := map[difference]bool{}
	here, there, both, seconds := 0, 0, 0, 0
	for _, service := range s.services {
		for _, jail := range service.jails {
			all := maps.Clone(theirs[jail])
			maps.Copy(all, ours[jail])
			here, there = here+len(ours[jail]), there+len(theirs[jail])
			for address := range all {
				d := difference{s.source, filters, jail, address, at(ours[jail], address), at(theirs[jail], address)}
				if d.ours != "-" && !service.hosts[address] {
					s.t.Errorf("%s, filters of %s, jail %s: a ban of %s, who was never there", s.source, filters, jail, address)
				}
				if d.ours != "-" && d.theirs != "-" {
					both++
				}
				if d.ours == d.theirs {
					seconds++
				} else if d.ours == "-" || d.theirs == "-" || filters == "converted" {
					found[d] = true
				}
			}
		}
	}
	s.t.Logf("%s, filters of %s: %d bans here, %d there, %d in both, %d of these at the same second", s.source, filters, here, there, both, seconds)
	var wrong []string
	for d := range found {
		if want[d] == "" {
			wrong = append(wrong, fmt.Sprintf("not in the table: %s\t%s\t%s\t%s\t%s\t%s\t?", d.source, d.filters, d.jail, d.address, d.ours, d.theirs))
		}
	}
	for d := range want {
		if d.source == s.source && d.filters == filters && !found[d] {
			wrong = append(wrong, fmt.Sprintf("only in the table: %v", d))
		}
	}
	slices.Sort(wrong)
	for _, w := range wrong {
		s.t.Error(w)
	}
}
