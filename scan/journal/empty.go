package journal

// empty reads nothing: every file was passed over.
type empty struct{}

func (empty) next() (bool, error)             { return false, nil }
func (empty) time() int64                     { return 0 }
func (empty) message() []byte                 { return nil }
func (empty) field(string) ([]byte, bool)     { return nil, false }
func (empty) cursor() (string, error)         { return "", errNoEntry }
func (empty) previousCursor() (string, error) { return "", errNoEntry }
func (empty) warnings() []string              { return nil }
func (empty) close() error                    { return nil }
