package jail

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// written is a value of TOML, as the TOML package decodes it, on one line.
func written(value any) string {
	var list []string
	switch v := value.(type) {
	case string:
		text, _ := json.Marshal(v) // of a string it cannot fail, and its escapes are TOML's
		return strings.ReplaceAll(string(text), "\x7f", `\u007f`)
	case float64:
		return strings.ToLower(strconv.FormatFloat(v, 'e', -1, 64)) // 1e+00 is no integer; +inf, nan
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case []any:
		for _, x := range v {
			list = append(list, written(x))
		}
	case []map[string]any:
		for _, x := range v {
			list = append(list, written(x))
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			list = append(list, written(key)+" = "+written(v[key]))
		}
		return "{" + strings.Join(list, ", ") + "}"
	default:
		return fmt.Sprint(v) // an integer, or true or false
	}
	return "[" + strings.Join(list, ", ") + "]"
}
