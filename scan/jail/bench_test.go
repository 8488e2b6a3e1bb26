package jail

import "testing"

// BenchmarkLoad is what every pass pays before it reads: the built-in jail with
// its filter.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load("testdata/sshd.toml"); err != nil {
			b.Fatal(err)
		}
	}
}
