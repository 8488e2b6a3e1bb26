package pass

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scan2ban/ban/list"
	"scan2ban/ban/nftables"
	"scan2ban/scan/journal/journaltest"
	"scan2ban/state"
)

// TestRestoreLists: what is wrong in a list is a warning of a restore, as of a pass; what
// the kernel does not get is an error, one a list and in their order.
func TestRestoreLists(t *testing.T) {
	h := newHost(t)
	journaltest.Write(t, h.journal, journaltest.Attack(begin, 90))
	write := func(name, text string) string {
		path := filepath.Join(filepath.Dir(h.journal), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var wanted []string
	for i := range 8 {
		o := list.Default(fmt.Sprintf("l%d", i))
		o.File = write(o.Name, fmt.Sprintf("198.51.100.%d\n", i))
		h.setup.Lists = append(h.setup.Lists, &o)
		wanted = append(wanted, fmt.Sprintf("list %q is not in the kernel as it should be: it is not known who is to be ignored: a jail or an allow list is broken", o.Name))
	}
	h.setup.Spared = state.NewIgnored()
	h.pass(begin + 3600)

	restored := func() (warnings []string, err error) {
		if err := nftables.Remove(context.Background()); err != nil {
			t.Fatal(err)
		}
		s := h.setup
		s.Now = time.Unix(begin+3660, 0)
		_, warnings, err = Restore(context.Background(), s)
		return warnings, err
	}
	write("l3", "198.51.100.3\nrubbish\n")
	warnings, err := restored()
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], `l3:2: "rubbish" is not an address`) {
		t.Errorf("a bad line: warnings %q, error %v", warnings, err)
	}
	h.setup.Spared = nil
	_, err = restored()
	var got []string
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		for _, err := range joined.Unwrap() {
			got = append(got, err.Error())
		}
	}
	if !slices.Equal(got, wanted) {
		t.Errorf("not known who is ignored: %v", err)
	}
}
