package report

import (
	"cmp"
	"net/netip"

	"scan2ban/state/order"
)

// Past is what was logged in a span of time, and what policies would have done about it.
type Past struct {
	From       string       `json:"from"`
	To         string       `json:"to"`
	Entries    int          `json:"entries"`    // read
	Understood int          `json:"understood"` // of these, by a filter
	Failures   int          `json:"failures"`   // that counted
	Logins     int          `json:"logins"`     // that were believed
	Hours      []Hour       `json:"attempts_by_hour"`
	Days       []Day        `json:"days"` // local ones
	Addresses  []Attacker   `json:"addresses"`
	Networks   []Network    `json:"networks"` // from which several addresses came
	ASNs       []Network    `json:"asns,omitempty"`
	Users      []Name       `json:"users"`
	Jails      []PastJail   `json:"jails"`
	Hosts      []Host       `json:"hosts,omitempty"` // of a journal that names them
	Bans       []Ban        `json:"bans"`            // by the first policy
	Collateral []Collateral `json:"collateral"`      // by the first policy
	KernelMost int          `json:"kernel_most"`     // elements at a time, by the first policy
	Policies   []Policy     `json:"policies"`

	Untold      int      `json:"untold,omitempty"` // failures of addresses beyond those told apart
	Interrupted bool     `json:"interrupted,omitempty"`
	Seconds     float64  `json:"seconds"` // that reading and judging took
	Warnings    []string `json:"warnings,omitempty"`

	Located bool `json:"-"` // there is a database of countries or operators

	from, to int64
}

// Hour is one of the span.
type Hour struct {
	Time     string `json:"time"` // its beginning
	Failures int    `json:"failures"`
}

// Day is one of the span.
type Day struct {
	Day      string `json:"day"`
	Failures int    `json:"failures"`
	Bans     int    `json:"bans"`
}

// Attacker is an address in the eyes of one jail.
type Attacker struct {
	Address    string   `json:"address"`
	Jail       string   `json:"jail"`
	Failures   int      `json:"failures"`
	First      string   `json:"first"`
	Last       string   `json:"last"`
	Users      []string `json:"users"`
	Bans       int      `json:"bans"`
	Country    string   `json:"country"` // ISO 3166-1; empty: not known
	ASN        string   `json:"asn"`     // "AS64496 Name"; empty: not known
	LaterLogin *string  `json:"later_login"`
}

// Network is a range, or a network operator, that failures came from.
type Network struct {
	Network   string `json:"network"`
	Addresses int    `json:"addresses"`
	Failures  int    `json:"failures"`
}

// Name is a user name that was tried.
type Name struct {
	User     string `json:"user"`
	Failures int    `json:"failures"`
}

// PastJail is one jail's share.
type PastJail struct {
	Name       string `json:"name"`
	Entries    int    `json:"entries"`
	Understood int    `json:"understood"`
	Failures   int    `json:"failures"`
	Bans       int    `json:"bans"`
	Prevented  int    `json:"failures_prevented"`
}

// Host is one of those that wrote the journal.
type Host struct {
	Host       string `json:"host"`
	Understood int    `json:"understood"` // entries; of others nobody asks whose they are
	Failures   int    `json:"failures"`
	Bans       int    `json:"bans"`
}

// Policy is what one would have done.
type Policy struct {
	Policy     string       `json:"policy"`
	Banned     int          `json:"banned"` // addresses, or their networks
	Bans       int          `json:"bans"`
	Prevented  int          `json:"failures_prevented"`
	LetThrough int          `json:"failures_let_through"`
	AliveMost  int          `json:"alive_most"` // bans in the kernel at a time
	Collateral []Collateral `json:"collateral"`
	Networks   int          `json:"networks"` // bans of these that are of whole networks: see subnets
}

// Collateral is a ban on an address that logged in within seven days after.
type Collateral struct {
	Jail    string `json:"jail"`
	Address string `json:"address"`
	Key     string `json:"key"`
	Since   string `json:"since"`
	Login   string `json:"login"`
	User    string `json:"user"`
	Host    string `json:"host,omitempty"`
	Line    string `json:"line"` // of the log, that proves it
}

// Networks tells where addresses are; see package geo.
type Networks interface {
	Of(netip.Addr) (country, asn string) // empty: not known
	Warnings() []string                  // of what turned out to be broken
}

// Span sets the period, in seconds since the Unix epoch, 0 for none.
func (p *Past) Span(from, to int64) {
	p.from, p.to = from, to
	if from > 0 {
		p.From = UTC(from)
	}
	if to > 0 {
		p.To = UTC(to)
	}
	p.Hours, p.Days, p.Addresses, p.Users = []Hour{}, []Day{}, []Attacker{}, []Name{}
	p.Networks, p.Jails, p.Bans = []Network{}, []PastJail{}, []Ban{}
}

// Nets sums the addresses up by /24, /48 and, where that is known, by operator. A range
// counts from two addresses on.
func (p *Past) Nets() {
	nets, asns := map[string]*Network{}, map[string]*Network{}
	seen := map[[2]string]bool{}
	add := func(to map[string]*Network, name string, a *Attacker) {
		n := to[name]
		if n == nil {
			n = &Network{Network: name}
			to[name] = n
		}
		n.Failures += a.Failures
		if !seen[[2]string{name, a.Address}] {
			seen[[2]string{name, a.Address}] = true
			n.Addresses++
		}
	}
	for i := range p.Addresses {
		a := &p.Addresses[i]
		addr, err := netip.ParseAddr(a.Address)
		if err != nil {
			continue
		}
		bits := 24
		if addr.Is6() {
			bits = 48
		}
		prefix, _ := addr.Prefix(bits)
		add(nets, prefix.String(), a)
		if a.ASN != "" {
			add(asns, a.ASN, a)
		}
	}
	p.Networks, p.ASNs = ranked(nets), ranked(asns)
}

func ranked(nets map[string]*Network) []Network {
	list := []Network{}
	for _, n := range nets {
		if n.Addresses > 1 {
			list = append(list, *n)
		}
	}
	order.By(list, func(a, b Network) int {
		return cmp.Or(b.Failures-a.Failures, b.Addresses-a.Addresses, cmp.Compare(a.Network, b.Network))
	})
	return list
}
