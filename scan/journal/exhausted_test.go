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
