// Package bootid names the running boot.
package bootid

import (
	"encoding/hex"
	"os"
	"strings"
)

// Variable holds the id where /proc is hidden, as 32 hexadecimal digits
// (%b of systemd.unit(5)).
const Variable = "SCAN2BAN_BOOT_ID"

// Running is the id of the running boot as the kernel prints it, 32 hexadecimal digits in
// five groups (/proc/sys/kernel/random/boot_id, random(4)). "": nothing tells.
func Running() string { return read("/proc/sys/kernel/random/boot_id") }

func read(path string) string {
	if text, err := os.ReadFile(path); err == nil {
		return strings.TrimSpace(string(text))
	}
	told := os.Getenv(Variable)
	if raw, err := hex.DecodeString(told); err != nil || len(raw) != 16 {
		return ""
	}
	return strings.Join([]string{told[:8], told[8:12], told[12:16], told[16:20], told[20:]}, "-")
}
