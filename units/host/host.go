// Package host holds the files that are laid down on a host with systemd, embedded
// in the binary: the units, their drop-ins, and the user that the passes run as.
// It only gives their bytes; units/install writes them.
//
//	scan2ban.timer            starts a pass every minute and soon after boot
//	scan2ban.service          a pass, in a sandbox
//	scan2ban-restore.service  the ledger into the kernel: at boot before the network,
//	                          and after every start of a firewall
//	scan2ban-deliver.path     waits for a pass to say that something is due
//	scan2ban-deliver.service  mail and hooks, without the right to change the kernel
//	drop-ins of scan2ban.service:
//	  light.conf         a cheaper sandbox, for small hosts
//	  logfiles.conf      the right to read logs that only root may read
//	  disconnected.conf  a cheaper private /tmp; laid down with systemd 257 or later
//	scan2ban.sysusers.conf    the user, in the format of sysusers.d(5)
//
// Each file says why its lines are there. What the sandbox leaves open, and what
// it costs, is told by .ci/minute.
package host

import (
	"bytes"
	"embed"
)

//go:embed *.service *.timer *.path *.conf
var files embed.FS

// Units are the names that [Unit] knows.
var Units = []string{"scan2ban.service", "scan2ban.timer", "scan2ban-restore.service", "scan2ban-deliver.service", "scan2ban-deliver.path"}

// DropIns are the names that [DropIn] knows. NAME.conf belongs into
// scan2ban.service.d; later names override.
var DropIns = []string{"disconnected", "light", "logfiles"}

// Unit gives a unit file that starts binary, an absolute path. It panics for a
// name that is not in [Units].
func Unit(name, binary string) []byte {
	return bytes.ReplaceAll(file(name), []byte("@BINARY@"), []byte(binary))
}

// DropIn gives a drop-in of scan2ban.service. It panics for a name that is not
// in [DropIns].
func DropIn(name string) []byte { return file(name + ".conf") }

// Sysusers gives the file for sysusers.d: the user scan2ban and its group.
func Sysusers() []byte { return file("scan2ban.sysusers.conf") }

func file(name string) []byte {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // embedded: a test asks for each of them
	}
	return text
}
