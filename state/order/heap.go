package order

// A heap is a slice that these make and change: nothing in it is less than its first element,
// by less, which tells whether a stands before b.

// Push puts x into the heap.
func Push[T any](heap []T, x T, less func(a, b T) bool) []T {
	heap = append(heap, x)
	for i := len(heap) - 1; i > 0; {
		above := (i - 1) / 2
		if !less(heap[i], heap[above]) {
			break
		}
		heap[i], heap[above] = heap[above], heap[i]
		i = above
	}
	return heap
}

// Sink takes the first element to its place, now that others may be less.
func Sink[T any](heap []T, less func(a, b T) bool) {
	for i := 0; ; {
		least := 2*i + 1
		if least >= len(heap) {
			return
		}
		if other := least + 1; other < len(heap) && less(heap[other], heap[least]) {
			least = other
		}
		if !less(heap[least], heap[i]) {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}

// Pop takes the first element out of the heap.
func Pop[T any](heap []T, less func(a, b T) bool) []T {
	last := len(heap) - 1
	heap[0] = heap[last]
	clear(heap[last:])
	Sink(heap[:last], less)
	return heap[:last]
}
