package recipes

import (
	"strings"
	"testing"
)

// Each file is known again by an uninstall, and each script says how it is used.
func TestFiles(t *testing.T) {
	scripts := 0
	for _, f := range Files("/opt/recipes") {
		text := string(f.Text)
		if !strings.Contains(text, "scan2ban") || strings.Contains(text, "@RECIPES@") {
			t.Errorf("%s does not name scan2ban, or not its own place", f.Name)
		}
		if f.Mode == 0o644 {
			continue
		}
		scripts++
		if !strings.HasPrefix(text, "#!/bin/sh\n# "+f.Name+": ") || !strings.Contains(text, `"/opt/recipes/`+f.Name+`"`) {
			t.Errorf("%s does not begin with what it does and how it is configured", f.Name)
		}
	}
	if scripts != 8 {
		t.Errorf("%d scripts", scripts)
	}
}
