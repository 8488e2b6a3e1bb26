package state

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// What a pass leaves is JSON, and is read as it was left; also where another member stands first.
func TestVolatileIsReadAsItWasLeft(t *testing.T) {
	journal := json.RawMessage(`{"cursor":"s=1,\"journal\":","files":["a 1 b 2 3"]}`)
	for _, want := range []Volatile{
		{},
		{Journal: journal},
		{Journal: journal, Matches: "m", Held: 3},
		{Matches: "m", LastRun: &LastRun{Time: 9, Failed: map[string]string{"journal": "x"}}},
	} {
		path := filepath.Join(t.TempDir(), "pass.json")
		if err := want.Save(path); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || !json.Valid(text) {
			t.Errorf("%s is no JSON, or %v", text, err)
		}
		if got := LoadVolatile(path); !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v", text, got)
		}
		whole, err := json.Marshal(want)
		if err == nil {
			err = os.WriteFile(path, whole, 0o600)
		}
		if got := LoadVolatile(path); err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v, %v", whole, got, err)
		}
	}
	path := filepath.Join(t.TempDir(), "pass.json")
	for _, text := range []string{`{"journal":{]`, `{"journal":`, `{"journal":{},"held":1`, `{"journal":{} "held":1}x`, ``} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := LoadVolatile(path); !reflect.DeepEqual(*got, Volatile{}) {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
