package deliver

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
)

// FuzzPositions: deliver.json is taken whole, and then survives being written and read, or
// not at all: what is damaged leaves no sink at a place that nobody chose.
func FuzzPositions(f *testing.F) {
	f.Add([]byte(`{"version":1,"sinks":{"mail":{"seq":7,"done":[9],"tries":2,"failing_since":5,"next":65,"error":"451","last":1,"sent":[2],"health":{"sshd":"ok"}},"hook 1":null}}`), int64(9))
	f.Add([]byte(`{"version":1,"sinks":{"hook 1":{"seq":7,"tries":-1},"hook 2":{"seq":7,"tries":9223372036854775807}}}`), int64(9))
	f.Add([]byte(`{"version":2,"sinks":{}}`), int64(0))
	f.Add([]byte(`{"sinks":{"a":{"seq":"x"}}}`), int64(-1))
	f.Fuzz(func(t *testing.T, text []byte, now int64) {
		p, damaged, err := decode(text)
		switch {
		case err != nil:
			if p != nil || !json.Valid(text) {
				t.Fatalf("%q: %v, and %+v", text, err, p)
			}
			return
		case damaged != nil && (len(p.Sinks) > 0 || p.Version != 1):
			t.Fatalf("%q is damaged (%v), and leaves %+v", text, damaged, p)
		}
		written, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, damaged, err := decode(written)
		if err != nil || damaged != nil {
			t.Fatalf("%q became %q: %v, %v", text, written, damaged, err)
		}
		if more, _ := json.Marshal(again); !bytes.Equal(more, written) {
			t.Fatalf("%q became %q, then %q", text, written, more)
		}
		for _, sink := range p.Sinks {
			if c := sink.copy(); !reflect.DeepEqual(c, sink) {
				t.Fatalf("%+v is copied as %+v", sink, c)
			}
			now &= 1<<40 - 1
			sink.failed(now, errors.New("451"))
			if wait := sink.Next - now; wait < firstPause || wait > longestWait {
				t.Fatalf("after %d tries the next waits %d s", sink.Tries, wait)
			}
			sink.hopeless(now, 3, time.Hour)
		}
	})
}
