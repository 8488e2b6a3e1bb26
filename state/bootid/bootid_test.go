package bootid

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRunning(t *testing.T) {
	const kernel, told = "0c6ea7e8-5e3d-4a6c-9b39-4f7d2a1b8c9d", "ffeeddccbbaa99887766554433221100"
	there := filepath.Join(t.TempDir(), "boot_id")
	if err := os.WriteFile(there, []byte(kernel+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ path, told, want string }{
		{there, "", kernel},
		{there, told, kernel}, // what is told is for a hidden /proc alone
		{there + "x", told, "ffeeddcc-bbaa-9988-7766-554433221100"},
		{there + "x", "", ""},
		{there + "x", "%b", ""},
		{there + "x", told[1:], ""},
		{there + "x", told + "00", ""},
		{there + "x", strings.Repeat("x", 32), ""},
	} {
		t.Setenv(Variable, row.told)
		if got := read(row.path); got != row.want {
			t.Errorf("%s, told %q: %q, want %q", row.path, row.told, got, row.want)
		}
	}
}
