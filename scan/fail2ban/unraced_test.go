//go:build !race

package fail2ban

// Raced says that the race detector watches.
const Raced = false
