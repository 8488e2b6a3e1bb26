package sha256_test

import (
	library "crypto/sha256"
	"math/rand/v2"
	"testing"

	"scan2ban/state/sha256"
)

func TestSum256(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	text := make([]byte, 1<<20)
	random.Read(text)
	for n := range 1000 {
		if got, want := sha256.Sum256(text[n:2*n]), library.Sum256(text[n:2*n]); got != want {
			t.Errorf("%d bytes: %x, want %x", n, got, want)
		}
	}
	if got, want := sha256.Sum256(text), library.Sum256(text); got != want {
		t.Errorf("%d bytes: %x, want %x", len(text), got, want)
	}
}

func FuzzSum256(f *testing.F) {
	f.Add([]byte("abc"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := sha256.Sum256(text), library.Sum256(text); got != want {
			t.Errorf("%x: %x, want %x", text, got, want)
		}
	})
}

func BenchmarkSum256(b *testing.B) {
	text := make([]byte, 150)
	for b.Loop() {
		sha256.Sum256(text)
	}
}
