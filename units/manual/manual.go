// Package manual writes what a host's manual and shells know of scan2ban: man
// pages and completions, made from the commands themselves.
package manual

import (
	"bytes"

	"github.com/spf13/cobra"
)

// File is one of them.
type File struct {
	Path string // below share: man/man8/scan2ban.8
	Text []byte
}

// Files gives the pages scan2ban(8) and scan2ban.toml(5), and the completions for
// bash, zsh and fish.
func Files(root *cobra.Command) ([]File, error) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	list := []File{
		{"man/man8/scan2ban.8", Page(root)},
		{"man/man5/scan2ban.toml.5", ConfigPage()},
	}
	for _, shell := range []struct {
		path  string
		write func(*bytes.Buffer) error
	}{
		{"bash-completion/completions/scan2ban", func(w *bytes.Buffer) error { return root.GenBashCompletionV2(w, true) }},
		{"zsh/site-functions/_scan2ban", func(w *bytes.Buffer) error { return root.GenZshCompletion(w) }},
		{"fish/vendor_completions.d/scan2ban.fish", func(w *bytes.Buffer) error { return root.GenFishCompletion(w, true) }},
	} {
		var text bytes.Buffer
		if err := shell.write(&text); err != nil {
			return nil, err
		}
		list = append(list, File{shell.path, text.Bytes()})
	}
	return list, nil
}
