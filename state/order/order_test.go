package order_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"scan2ban/state/order"
)

func TestBySortsAsTheLibraryDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type pair struct{ rank, place int }
		var list []pair
		for place, rank := range rapid.SliceOf(rapid.IntRange(-3, 3)).Draw(t, "ranks") {
			list = append(list, pair{rank, place})
		}
		want := slices.Clone(list)
		compare := func(a, b pair) int { return a.rank - b.rank }
		slices.SortStableFunc(want, compare)
		order.By(list, compare)
		if !slices.Equal(list, want) {
			t.Errorf("%v, want %v", list, want)
		}
	})
}
