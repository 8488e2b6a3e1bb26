package pass

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestForgedState: a state of the passes' user, who has taken care of the checksum and of the
// note of the last pass, is damaged where it is malformed: a command of root's that only
// looks says so, and a pass makes it anew.
func TestForgedState(t *testing.T) {
	for part, forge := range map[string][2]string{
		"bans":     {`"bans":{`, `"bans":{"x":1,`},
		"networks": {`"sessions":{`, `"networks":7,"sessions":{`},
		"sessions": {`"sessions":{`, `"sessions":{"x":1,`},
		"window":   {`"window":{`, `"window":{"x":1,`},
	} {
		h := newHost(t)
		attack(h, begin, "203.0.113.7")
		h.pass(begin + 60)
		text, err := os.ReadFile(h.setup.StatePath)
		body, _, _ := bytes.Cut(text, []byte(`,"checksum":"`))
		forged := bytes.Replace(body, []byte(forge[0]), []byte(forge[1]), 1)
		if err != nil || bytes.Equal(forged, body) {
			t.Fatalf("%s: nothing was forged, %v", part, err)
		}
		forged = fmt.Appendf(forged, `,"checksum":"%08x"}`+"\n", crc32.Checksum(forged, crc32.MakeTable(crc32.Castagnoli)))
		if err := os.WriteFile(h.setup.StatePath, forged, 0o600); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(h.setup.StatePath)
		names, err := filepath.Glob(dir + "*/*")
		for _, name := range append(names, dir) {
			err = errors.Join(err, os.Chown(name, 12345, 12345))
		}
		if err != nil {
			t.Fatal(err)
		}
		look := h.setup
		look.Write, look.Now = false, time.Unix(begin+120, 0)
		p, err := Begin(look)
		if err != nil {
			t.Fatal(err)
		}
		p.Read(context.Background())
		p.Close()
		if told := strings.Join(p.Warnings, "\n"); !strings.Contains(told, "the "+part+` of jail "sshd"`) {
			t.Errorf("%s: looking warns %q", part, told)
		}
		p = h.pass(begin + 120)
		kept, _ := filepath.Glob(h.setup.StatePath + ".damaged-*")
		if told := strings.Join(p.Warnings, "\n"); !strings.Contains(told, "the "+part+` of jail "sshd"`) || !strings.Contains(told, "made anew") || len(kept) != 1 {
			t.Errorf("%s: a pass warns %q, %q are kept", part, told, kept)
		}
		if live := p.Ledger.Jail("sshd").Live(begin + 120); len(live) != 1 {
			t.Errorf("%s: %v are banned", part, live)
		}
	}
}
