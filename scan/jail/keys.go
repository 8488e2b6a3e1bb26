package jail

import (
	"reflect"
	"slices"
	"sync"
)

// keys are the keys that a struct takes, each with the place of its field.
type keys struct {
	sorted []string
	fields map[string][]int
}

var known sync.Map // of reflect.Type to *keys

func keysOfType(t reflect.Type) *keys {
	if have, ok := known.Load(t); ok {
		return have.(*keys)
	}
	k := &keys{fields: map[string][]int{}}
	var walk func(t reflect.Type, at []int)
	walk = func(t reflect.Type, at []int) {
		for i := range t.NumField() {
			field, place := t.Field(i), append(slices.Clone(at), i)
			tag := field.Tag.Get("toml")
			switch {
			case field.Anonymous && tag == "":
				walk(field.Type, place)
			case tag != "" && tag != "-":
				k.sorted = append(k.sorted, tag)
				k.fields[tag] = place
			}
		}
	}
	walk(t, nil)
	slices.Sort(k.sorted)
	known.Store(t, k)
	return k
}

// keysOf are the keys that the struct behind a pointer takes, sorted.
func keysOf(into any) []string { return keysOfType(reflect.TypeOf(into).Elem()).sorted }

// fieldOf gives the field that a key sets; no valid one where there is none.
func fieldOf(into any, key string) reflect.Value {
	v := reflect.ValueOf(into).Elem()
	if at, ok := keysOfType(v.Type()).fields[key]; ok {
		return v.FieldByIndex(at)
	}
	return reflect.Value{}
}
