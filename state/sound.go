package state

import "fmt"

// A checksum tells of accidents. Who may write the state's file, the passes' user, may write
// any other with a checksum that is right, and root reads it.

// sound tells of what Decode has not read whether it can be read.
func (s *State) sound() error {
	for _, name := range s.Names() {
		j := s.Jails[name]
		for _, part := range []struct {
			name  string
			sound func() error
		}{{"bans", j.bans.sound}, {"networks", j.networks.sound}, {"sessions", j.sessions.sound}, {"window", j.windows.sound}} {
			if err := part.sound(); err != nil {
				return fmt.Errorf("the %s of jail %q: %w", part.name, name, err)
			}
		}
	}
	return nil
}

// usual tells whether what Decode has read is what a pass can have written.
func (s *State) usual() error {
	if s.History.Length < 0 || s.History.Seq < 0 {
		return fmt.Errorf("the history cannot have %d bytes, %d decisions", s.History.Length, s.History.Seq)
	}
	if s.Sources.Logs != nil {
		for _, pos := range s.Sources.Logs.Files {
			if pos.Offset < 0 || pos.Bytes < 0 || pos.Bytes > 256 || pos.Printed < 0 || pos.PrintedAt() > pos.Offset {
				return fmt.Errorf("the position in %s: %w", pos.Path, errSyntax)
			}
		}
	}
	for name, j := range s.Jails {
		if j.Pardons == nil || j.Successes == nil || j.Prefixes[0]|j.Prefixes[1] < 0 || j.Prefixes[0] > 32 || j.Prefixes[1] > 128 {
			return fmt.Errorf("jail %q: %w", name, errSyntax)
		}
		for day, tally := range j.Seen.Days {
			if tally == nil {
				return fmt.Errorf("jail %q: the tally of %s: %w", name, day, errSyntax)
			}
		}
	}
	return nil
}
