// Package recipes holds programs for [[hook]]: shell scripts, for any POSIX shell, that
// tell a service of an event or have another firewall enforce it.
//
//	webhook, ntfy, gotify, telegram   tell people
//	cloudflare                        keeps a list that Cloudflare blocks
//	abuseipdb                         reports the banned
//	iptables, ufw                     enforce bans ([kernel] backend = "hook")
//
// Each says in its first lines what it does, what to write into the configuration, and
// where a secret goes: into a file, never into arguments, environment or output. A
// user name in an event is an attacker's: a script puts it into JSON escaped, or nowhere.
// The package only gives their bytes; units/install lays them down.
package recipes

import (
	"bytes"
	"embed"
	"io/fs"
	"strings"
)

//go:embed webhook ntfy gotify telegram cloudflare abuseipdb iptables ufw *.sh
var files embed.FS

// File is one of them.
type File struct {
	Name string
	Mode fs.FileMode
	Text []byte
}

// Files gives the scripts, and what they read, for a directory of the host where they
// are to lie together.
func Files(dir string) (list []File) {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // embedded
	}
	for _, entry := range entries {
		name, mode := entry.Name(), fs.FileMode(0o755)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o644
		}
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // embedded
		}
		list = append(list, File{name, mode, bytes.ReplaceAll(text, []byte("@RECIPES@"), []byte(dir))})
	}
	return list
}
