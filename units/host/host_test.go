package host

import (
	"bytes"
	"testing"
)

func TestEveryFileIsThere(t *testing.T) {
	for _, name := range Units {
		text := Unit(name, "/opt/sbin/scan2ban")
		if bytes.Contains(text, []byte("@BINARY@")) {
			t.Errorf("%s: a placeholder is left", name)
		}
		if bytes.HasSuffix([]byte(name), []byte(".service")) && !bytes.Contains(text, []byte("\nExecStart=/opt/sbin/scan2ban ")) {
			t.Errorf("%s does not start the binary", name)
		}
	}
	for _, name := range DropIns {
		if !bytes.Contains(DropIn(name), []byte("\n[Service]\n")) {
			t.Errorf("%s: no section [Service]", name)
		}
	}
	if !bytes.Contains(Sysusers(), []byte("\nu scan2ban ")) {
		t.Error("no user")
	}
}
