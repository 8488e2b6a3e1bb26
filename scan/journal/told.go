package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"scan2ban/state"
)

// passed warns of a file that is passed over.
func (r *Reader) passed(f FileInfo, err error) {
	if errors.Is(err, fs.ErrPermission) {
		r.remark(f, "journal file %s is not read: %v", f.Path, err)
		return
	}
	r.remark(f, "journal file %s is passed over: %v (if journalctl --verify --file=%s cannot read it either, move it away)", f.Path, err, f.Path)
}

// remark warns of a damaged file, unless it was told the same of it before. Other numbers in the text
// make no difference: the same damage may be met with each entry that is written, and counted anew.
func (r *Reader) remark(f FileInfo, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	kind := " " + state.Hash(strings.Map(noDigit, strings.ReplaceAll(text, f.Path, "")))
	if !strings.HasPrefix(r.bad[f.Path], f.fileMark()) {
		r.bad[f.Path] = f.fileMark()
	}
	if !strings.Contains(r.bad[f.Path], kind) {
		if r.told[f.Path] { // it was to be read in part, and then could not be
			r.warned = slices.DeleteFunc(r.warned, func(w string) bool { return strings.HasPrefix(w, "journal file "+f.Path+" ") })
		}
		r.warned = append(r.warned, text)
		r.bad[f.Path] += kind
	}
	r.told[f.Path] = true
}

// fileMark is what Exhausted.Damaged knows a file by: the inode, which another file may get, and the
// beginning of the id that its header names.
func (f FileInfo) fileMark() string {
	return strconv.FormatUint(f.inode, 10) + ":" + f.FileID[:min(8, len(f.FileID))]
}

// noDigit takes numbers away.
func noDigit(c rune) rune {
	if '0' <= c && c <= '9' {
		return -1
	}
	return c
}

// remembered are the damaged files that an earlier pass has told of and that are still there.
func (l *listing) remembered(x *Exhausted) map[string]string {
	bad := map[string]string{}
	if x == nil || len(x.Damaged) == 0 {
		return bad
	}
	for _, files := range [][]FileInfo{l.files, l.bad} {
		for _, f := range files {
			if told := x.Damaged[f.Path]; strings.HasPrefix(told, f.fileMark()) {
				bad[f.Path] = told
			}
		}
	}
	if len(l.denied) > 0 {
		if told, ok := x.Damaged[l.denied[0]]; ok {
			bad[l.denied[0]] = told
		}
	}
	return bad
}
