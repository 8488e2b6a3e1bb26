package filter

import (
	"maps"
	"slices"
	"strconv"

	"github.com/BurntSushi/toml"
)

// paths reads one path of a member, or a list of them.
func (d *decoder) paths(dst *[]string) field {
	return func(key toml.Key, value any) {
		if path, ok := value.(string); ok {
			value = []any{path}
		}
		*dst = d.strings(key, value)
		if slices.Contains(*dst, "") || len(*dst) == 0 {
			d.fail(key, "%s names no member", key[len(key)-1])
		}
	}
}

// conditions reads a table from paths to what one wants; a path may be in quotes,
// or a dotted key, which TOML makes tables of.
func (d *decoder) conditions(dst *[]Condition, read func(key toml.Key, value any) (Condition, bool)) field {
	return func(key toml.Key, value any) {
		table, ok := value.(map[string]any)
		if !ok {
			d.wrongType(key, "a table { PATH = VALUE }", value)
			return
		}
		var walk func(prefix string, table map[string]any)
		walk = func(prefix string, table map[string]any) {
			for _, name := range slices.Sorted(maps.Keys(table)) {
				path := prefix + name
				if inner, ok := table[name].(map[string]any); ok {
					walk(path+".", inner)
				} else if c, ok := read(key, table[name]); ok {
					c.Path = path
					*dst = append(*dst, c)
				}
			}
		}
		walk("", table)
	}
}

// where reads a value, or a list of them.
func (d *decoder) where(dst *[]Condition) field {
	return d.conditions(dst, func(key toml.Key, value any) (c Condition, ok bool) {
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		for _, v := range list {
			switch v := v.(type) {
			case string:
				c.Any = append(c.Any, v)
			case int64:
				c.Any = append(c.Any, strconv.FormatInt(v, 10))
			case bool:
				c.Any = append(c.Any, strconv.FormatBool(v))
			default:
				d.wrongType(key, "text, whole numbers, true or false", v)
				return c, false
			}
		}
		if len(c.Any) == 0 {
			d.fail(key, "where: an empty list holds for nothing")
		}
		return c, len(c.Any) > 0
	})
}

func (d *decoder) like(dst *[]Condition) field {
	return d.conditions(dst, func(key toml.Key, value any) (c Condition, ok bool) {
		if c.Like, ok = value.(string); !ok || c.Like == "" {
			d.wrongType(key, "patterns", value)
		}
		return c, ok && c.Like != ""
	})
}
