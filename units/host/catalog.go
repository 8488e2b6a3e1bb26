package host

import _ "embed"

//go:embed scan2ban.catalog
var catalog []byte

// Catalog gives the file for PREFIX/lib/systemd/catalog: what `journalctl -x` says
// of our entries, once `journalctl --update-catalog` has run.
func Catalog() []byte { return catalog }
