// Package order sorts what is not worth a sort of its own. Of slices.SortFunc the
// compiler makes some 25 KB for each type of element, of By one: right for the
// few ports of a jail or the lines of a report, too slow for the bans of a kernel set. And it
// keeps heaps.
package order

import "sort"

// By sorts list by compare, which gives a number below 0 where a stands before b and
// above 0 where it stands behind. Equal elements keep their order.
func By[T any](list []T, compare func(a, b T) int) {
	sort.SliceStable(list, func(i, j int) bool { return compare(list[i], list[j]) < 0 })
}
