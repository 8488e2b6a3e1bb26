package filter

import "strings"

// nearest gives the valid word that word was most likely meant to be, or ""
// when none is near: at most a third of its letters differ, and always two may.
func nearest(word string, valid []string) string {
	word = strings.ToLower(word)
	best, limit := "", max(2, len(word)/3)+1
	for _, v := range valid {
		if d := distance(word, strings.ToLower(v)); d < limit && d < len(v) {
			best, limit = v, d
		}
	}
	return best
}

// DidYouMean is nearest as the end of an error message: the nearest word, else
// all of them.
func DidYouMean(word string, valid []string) string {
	if near := nearest(word, valid); near != "" {
		return ` (did you mean "` + near + `"?)`
	}
	return " (valid: " + strings.Join(valid, ", ") + ")"
}

// distance counts insertions, deletions, substitutions and swaps of neighbours
// (optimal string alignment).
func distance(a, b string) int {
	var before, last, row []int
	last = make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row = make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
