package clean

import (
	"errors"
	"io/fs"
	"testing"
)

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"root":                   "root",
		"müller-日本":              "müller-日本",
		"\x1b[2J\x07":            `\x1b[2J\x07`,
		"a\nb\r\t":               `a\x0ab\x0d\x09`,
		"\u202egnp.exe\u2066":    `\u202egnp.exe\u2066`,
		"\xff\xfe":               `\xff\xfe`,
		"\u0085\u2028":           `\u0085\u2028`,
		"\U000e0041 tag, \ufffd": `\ue0041 tag, ` + "\ufffd",
	} {
		if got := Text(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
		err := &fs.PathError{Op: "open", Path: text, Err: fs.ErrExist}
		if got := Error(err); got.Error() != "open "+want+": file already exists" || !errors.Is(got, fs.ErrExist) {
			t.Errorf("an error of %q: %v", text, got)
		}
	}
	if err := Error(nil); err != nil {
		t.Errorf("nil became %v", err)
	}
}
