package journal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"
)

// passed warns of a file that is passed over.
func (r *Reader) passed(f FileInfo, err error) {
	if errors.Is(err, fs.ErrPermission) {
		r.remark(f, "journal file %s is not read: %v", f.Path, err)
		return
	}
	r.remark(f, "journal file %s is passed over: %v (if journalctl --verify --file=%s cannot read it either, move it away)", f.Path, err, f.Path)
}

// remark warns of a damaged file, unless a pass has told the same of it, but for numbers: a place that is
// damaged may be met with each entry that is written, and counted anew.
func (r *Reader) remark(f FileInfo, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	inode := fmt.Sprintf("%d:", f.inode)
	kind := fmt.Sprintf(" %08x", crc32.ChecksumIEEE([]byte(digits.Replace(strings.ReplaceAll(text, f.Path, "")))))
	if !strings.HasPrefix(r.bad[f.Path], inode) {
		r.bad[f.Path] = inode
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

// digits takes numbers away.
var digits = strings.NewReplacer("0", "", "1", "", "2", "", "3", "", "4", "", "5", "", "6", "", "7", "", "8", "", "9", "")

// remembered are the damaged files that an earlier pass has told of and that are still there.
func (l *listing) remembered(x *Exhausted) map[string]string {
	bad := map[string]string{}
	if x == nil {
		return bad
	}
	for _, f := range slices.Concat(l.files, l.bad) {
		if told, ok := x.Damaged[f.Path]; ok && strings.HasPrefix(told, fmt.Sprintf("%d:", f.inode)) {
			bad[f.Path] = told
		}
	}
	if len(l.denied) > 0 {
		if told, ok := x.Damaged[l.denied[0]]; ok {
			bad[l.denied[0]] = told
		}
	}
	return bad
}
