// Package units holds what scan2ban lays down on a host and what it says of
// itself: the help texts today. Everything is embedded in the binary.
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
