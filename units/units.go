// Package units holds what scan2ban says of itself: the help texts, embedded in the
// binary, its version, and the completions for shells. What it lays down on a host, and how
// a command tells what came of it, is in the packages below.
package units

import (
	"embed"
	"strings"
)

//go:embed help/*.txt
var help embed.FS

// Help gives the text of a command: what it does, and its examples, which stand
// behind a line "Examples:". It panics for a command without a text.
func Help(command string) (long, examples string) {
	text, err := help.ReadFile("help/" + command + ".txt")
	if err != nil {
		panic(err) // embedded: a test calls it for every command
	}
	long, examples, _ = strings.Cut(string(text), "\nExamples:\n")
	return strings.TrimSpace(long), strings.TrimRight(examples, "\n")
}
