package state

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes of the configuration: "128M", with the units K, M, G and T of
// 1024, or a plain number, as systemd writes them (journald.conf(5)).
type Size int64

// UnmarshalText reads a Size. What is too small for a use its user says.
func (s *Size) UnmarshalText(text []byte) error {
	number := strings.TrimSpace(string(text))
	shift := 0
	if i := len(number) - 1; i > 0 {
		if unit := strings.IndexByte("KMGT", number[i]&^0x20); unit >= 0 {
			number, shift = number[:i], 10*(unit+1)
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if errors.Is(err, strconv.ErrRange) && n > 0 || n > 1<<62>>shift {
		return fmt.Errorf("%q is too great a size", text)
	} else if err != nil || n < -(1<<62>>shift) {
		return fmt.Errorf("%q is not a size (write 64M, 1G, or a number of bytes)", text)
	}
	*s = Size(n << shift)
	return nil
}
