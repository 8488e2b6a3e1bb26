package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestMalformed: what a checksum vouches for and no pass can have written is damage, in the
// parts that stay unread too.
func TestMalformed(t *testing.T) {
	var bodies []string
	for _, part := range []string{"bans", "networks", "sessions", "window"} {
		for _, text := range []string{`7`, `null`, `{"203.0.113.1":7}`, `[[}}`, `""`} {
			bodies = append(bodies, `"jails":{"sshd":{"`+part+`":`+text+`}}`)
		}
	}
	for _, text := range []string{`"pardons":null`, `"successes":null`, `"prefixes":[33,64]`, `"prefixes":[32,-1]`, `"seen":{"days":{"2026-11-22":null}}`} {
		bodies = append(bodies, `"jails":{"sshd":{`+text+`}}`)
	}
	for _, text := range []string{`"bytes":-1`, `"bytes":9000000000`, `"offset":-1`, `"printed":-1`, `"offset":5,"printed":7`} {
		bodies = append(bodies, `"sources":{"logs":{"files":[{`+text+`}]}}`)
	}
	bodies = append(bodies, `"history":-1`)
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	s := openStore(t, dir)
	for _, body := range bodies {
		if err := os.WriteFile(path, sealed([]byte(`{"version":1,`+body)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(); !errors.As(err, new(*DamagedError)) {
			t.Errorf("%s: %v, want a DamagedError", body, err)
		}
	}
}

// TestKnown: what is known to be a pass's stays unread, but for who reads another user's.
func TestKnown(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	if err := os.WriteFile(path, sealed([]byte(`{"version":1,"jails":{"sshd":{"window":7}}`)), 0o600); err != nil {
		t.Fatal(err)
	}
	known := func(*State) bool { return true }
	if _, err := openStore(t, dir).LoadKnown(known); err != nil {
		t.Errorf("one's own: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: gives a file away")
	}
	if err := errors.Join(os.Chown(dir, 12345, 12345), os.Chown(path, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(t, dir).LoadKnown(known); !errors.As(err, new(*DamagedError)) {
		t.Errorf("another's: %v", err)
	}
}
