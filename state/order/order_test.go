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

// A heap gives what is in it from the least on, whatever was put in, changed and taken between.
func TestHeap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		less := func(a, b *int) bool { return *a < *b }
		var heap []*int
		var model []int
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			x := rapid.IntRange(-9, 9).Draw(t, "x")
			switch rapid.IntRange(0, 2).Draw(t, "deed") {
			case 0:
				heap, model = order.Push(heap, &x, less), append(model, x)
			case 1:
				if len(heap) > 0 {
					model[slices.Index(model, *heap[0])] = *heap[0] + 5
					*heap[0] += 5
					order.Sink(heap, less)
				}
			case 2:
				if len(heap) > 0 {
					last := &heap[len(heap)-1]
					heap, model = order.Pop(heap, less), slices.Delete(model, 0, 1)
					if *last != nil {
						t.Fatal("what was taken out is held")
					}
				}
			}
			slices.Sort(model)
			if len(heap) != len(model) || len(heap) > 0 && *heap[0] != model[0] {
				t.Fatalf("%d elements, want %v", len(heap), model)
			}
		}
		for ; len(heap) > 0; heap, model = order.Pop(heap, less), model[1:] {
			if *heap[0] != model[0] {
				t.Fatalf("%d, want %v", *heap[0], model)
			}
		}
	})
}
