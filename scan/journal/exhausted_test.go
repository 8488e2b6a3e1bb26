package journal

import (
	"encoding/json"
	"reflect"
	"testing"
)

// What is known of files is read as encoding/json reads it, and is the same again.
func TestReadExhausted(t *testing.T) {
	file := ExhaustedFile{ID: "a1", Entries: 7, SeqnumID: "b2", Seqnum: 9, Surveyed: 4096}
	for _, want := range []Exhausted{
		{Cursor: "s=b2;i=9", Files: []ExhaustedFile{file, {ID: "c3", SeqnumID: "b2"}}},
		{Cursor: "s=b2;i=9", Files: []ExhaustedFile{file}, Damaged: map[string]string{"/x": "1:a1"}},
		{Cursor: `a"b\`, Files: []ExhaustedFile{file}},
		{Files: []ExhaustedFile{{ID: `a"b\`}}},
		{Cursor: "c", Files: []ExhaustedFile{}},
		{Cursor: "c"},
	} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadExhausted(text)
		if err != nil || !reflect.DeepEqual(*got, want) || got.Same(&want) != (want.Damaged == nil) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, other := range []Exhausted{{Cursor: "d", Files: []ExhaustedFile{file}}, {Cursor: "c"}, {Cursor: "c", Files: []ExhaustedFile{file}, Damaged: map[string]string{"/x": ""}}} {
		if other.Same(&Exhausted{Cursor: "c", Files: []ExhaustedFile{file}}) {
			t.Errorf("%+v is the same", other)
		}
	}
}

func FuzzReadExhausted(f *testing.F) {
	for _, text := range []string{`{"cursor":"c","files":["a 1 b 2 3","d 0 b 0 0"]}`, `{"cursor":"c","files":["a 1 b 2"]}`, `{"cursor":"c","files":["a 1 b 2 3 4"]}`, `{"cursor":"","files":[""]}`,
		`{"cursor":"c","files":["a 1 b 2 3","files":["a 1 b 2 3"]}`, `{"cursor":"c\u0041","files":["a 1 b 2 x"]}`, `null`, ``} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want Exhausted
		whole := json.Unmarshal([]byte(text), &want)
		got, err := ReadExhausted([]byte(text))
		if got.Damaged, want.Damaged = nil, nil; whole == nil && (err != nil || !got.Same(&want)) {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	})
}

// A file counts as read to its end once its last entry is old enough, and where no entry stands
// behind what a damaged header has come to.
func TestIsSettled(t *testing.T) {
	const now = 1e12
	for name, c := range map[string]struct {
		tail int64
		p    plan
		f    FileInfo
		want bool
	}{
		"old":       {now - settle, plan{}, FileInfo{}, true},
		"young":     {now - settle + 1, plan{}, FileInfo{}, false},
		"uncounted": {now - settle, plan{uncounted: true}, FileInfo{}, false},
		"archived":  {now, plan{uncounted: true}, FileInfo{State: Archived}, true},
		"ahead":     {now + settle, plan{}, FileInfo{}, false},
	} {
		c.p.now, c.f.TailRealtime = now, c.tail
		if got := c.p.isSettled(0, c.f); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
