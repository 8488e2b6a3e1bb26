package deliver

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"scan2ban/state/report"
)

const (
	whoisLimit = 10 * time.Second // for one address
	whoisMost  = 256 << 10        // bytes of an answer
)

// contact is who has an address, in one line.
func contact(ctx context.Context, address string) string {
	text, err := askWhois(ctx, address)
	if err != nil {
		return fmt.Sprintf("whois: %v", err)
	}
	return text
}

// askWhois asks the host's whois program whose network an address is of, and where abuse
// is reported: "EXAMPLE-NET 203.0.113.0 - 203.0.113.255, abuse@example.net".
func askWhois(ctx context.Context, address string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, whoisLimit)
	defer stop()
	out := &bounded{most: whoisMost}
	err := program(ctx, out, "whois", "--", address).Run()
	switch found := readWhois(out.String()); {
	case found != "":
		return found, nil
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("there is no program of that name (install whois)")
	case ctx.Err() != nil:
		return "", fmt.Errorf("no answer within %s", whoisLimit)
	case err != nil:
		return "", err
	}
	return "", errors.New("the answer names no network")
}

// whoisAbuse is what RIPE says in a comment before all else.
const whoisAbuse = "abuse contact"

// The names under which registries tell of a network and its contact for abuse: RIPE
// and APNIC, ARIN, LACNIC. The last one stands for the most specific network.
var (
	whoisNames    = []string{"netname", "owner", "ownerid"}
	whoisRanges   = []string{"inetnum", "inet6num", "netrange"}
	whoisContacts = []string{whoisAbuse, "abuse-mailbox", "orgabuseemail", "abuse-c-email", "e-mail"}
)

// readWhois picks what is asked for from an answer; empty: it names no network.
func readWhois(answer string) string {
	found := map[string]string{}
	for line := range strings.Lines(answer) {
		if rest, ok := strings.CutPrefix(line, "% Abuse contact for "); ok {
			if _, mail, ok := strings.Cut(rest, " is "); ok {
				found[whoisAbuse] = strings.Trim(strings.TrimSpace(mail), "'")
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || value == "" || strings.HasPrefix(name, "%") || strings.HasPrefix(name, "#") || strings.HasSuffix(name, "mail") && !strings.Contains(value, "@") {
			continue
		}
		if _, known := found[name]; known && strings.HasSuffix(name, "mail") {
			continue // the first is the network's own
		}
		found[name] = value
	}
	first := func(names []string) string {
		for _, name := range names {
			if found[name] != "" {
				return report.Clean(found[name])
			}
		}
		return ""
	}
	network := strings.TrimSpace(first(whoisNames) + " " + first(whoisRanges))
	if network == "" {
		return ""
	}
	if mail := first(whoisContacts); mail != "" {
		network += ", " + mail
	}
	const most = 200
	return strings.ToValidUTF8(network[:min(len(network), most)], "")
}
