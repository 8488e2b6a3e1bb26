package jail

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"pgregory.net/rapid"
)

// What is written is read as what it was.
func TestWritten(t *testing.T) {
	check := func(t rapid.TB, value any) {
		got := map[string]any{}
		if _, err := toml.Decode("key = "+written(value), &got); err != nil || !reflect.DeepEqual(got["key"], value) {
			t.Errorf("%#v is written %s, read as %#v, %v", value, written(value), got["key"], err)
		}
	}
	for _, value := range []any{
		"", "\x00\x1f\x7f\u0080\u2028\U0001f600<&>'\"\\\t\r\n", int64(math.MinInt64), 1.0, -0.5, 1e300, math.Inf(1), math.Inf(-1), true, []any{},
		map[string]any{"a b.c": "x", "": int64(0)}, time.Date(2026, 11, 30, 1, 2, 3, 5000, time.UTC),
	} {
		check(t, value)
	}
	if text := written([]map[string]any{{"a": int64(1)}, {}}); text != `[{"a" = 1}, {}]` {
		t.Errorf("an array of tables is written %s", text)
	}
	scalar := rapid.OneOf(rapid.String().AsAny(), rapid.Int64().AsAny(), rapid.Bool().AsAny(), rapid.Float64().AsAny())
	deep := rapid.Deferred(func() *rapid.Generator[any] {
		list := rapid.Map(rapid.SliceOfN(scalar, 0, 3), func(l []any) []any { return append([]any{}, l...) })
		return rapid.OneOf(scalar, list.AsAny(), rapid.MapOfN(rapid.String(), scalar, 0, 3).AsAny())
	})
	rapid.Check(t, func(t *rapid.T) { check(t, deep.Draw(t, "value")) })
}
