package recipes

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// list stands in for an IP list of an account: what the recipe asks of the API, with the
// search by how an address begins and items that refuse a second time.
type list struct {
	t     *testing.T
	items []item
	next  int
	wrote int // requests that change the list
}

type item struct {
	ID      string `json:"id"`
	IP      string `json:"ip"`
	Comment string `json:"comment,omitempty"`
	Created string `json:"created_on"`
}

func (l *list) answer(a asked) (int, string) {
	if a.path != "/client/v4/accounts/acc/rules/lists/lst/items" || a.header.Get("Authorization") != "Bearer "+secret {
		return 403, `{"success":false}`
	}
	switch a.method {
	case "GET":
		query, _ := url.ParseQuery(a.query)
		found := []item{}
		for _, i := range l.items {
			if strings.HasPrefix(i.IP, query.Get("search")) {
				found = append(found, i)
			}
		}
		if l.next%2 == 0 { // spaces mean nothing
			text, _ := json.MarshalIndent(map[string]any{"result": found, "success": true}, "", "  ")
			return 200, string(text)
		}
		text, _ := json.Marshal(map[string]any{"result": found, "success": true})
		return 200, string(text)
	case "POST":
		var add []item
		if err := json.Unmarshal([]byte(a.body), &add); err != nil || len(add) != 1 || a.header.Get("Content-Type") != "application/json" {
			return 400, fmt.Sprint(err)
		}
		for _, i := range l.items {
			if i.IP == add[0].IP {
				return 400, "it is there"
			}
		}
		l.wrote++
		l.next++
		add[0].ID, add[0].Created = fmt.Sprintf("id%d", l.next), "2026-11-27T00:00:00Z"
		l.items = append(l.items, add[0])
	case "DELETE":
		var what struct{ Items []item }
		if err := json.Unmarshal([]byte(a.body), &what); err != nil || len(what.Items) != 1 {
			return 400, fmt.Sprint(err)
		}
		for n, i := range l.items {
			if i.ID == what.Items[0].ID {
				l.wrote++
				l.items = append(l.items[:n:n], l.items[n+1:]...)
				return 200, `{"success":true}`
			}
		}
		return 404, ""
	}
	return 200, `{"result":{"operation_id":"x"},"success":true}`
}

func (l *list) String() string {
	var text []string
	for _, i := range l.items {
		text = append(text, i.IP+" "+i.Comment)
	}
	return strings.Join(text, "|")
}

// Each row is an event and what the list holds after it.
func TestCloudflare(t *testing.T) {
	const theirs = `192.88.99.70 office "ip":"192.88.99.7"|192.88.99.8 scan2ban other sshd 2026-11-28T00:00:00Z`
	mine := func(jail, until string) string { return theirs + "|192.88.99.7 scan2ban box " + jail + " " + until }
	const early, late = "2026-11-28T18:00:00Z", "2026-11-29T18:00:00Z"
	rows := []struct {
		name    string
		changes []string
		want    string
		wrote   int
	}{
		{"ban", nil, mine("sshd", early), 1},
		{"the same again", nil, mine("sshd", early), 0},
		{"another jail, ends later", []string{"JAIL", "web", "UNTIL", late}, mine("web", late), 2},
		{"the first jail's ban ends", []string{"EVENT", "expire"}, mine("web", late), 0},
		{"a ban that ends earlier", nil, mine("web", late), 0},
		{"for ever", []string{"UNTIL", "permanent", "SECONDS", "permanent"}, mine("sshd", "permanent"), 2},
		{"by hand, of a jail that now observes", []string{"EVENT", "unban", "OBSERVED", "1"}, theirs, 1},
		{"by hand again", []string{"EVENT", "unban"}, theirs, 0},
		{"over before it was told", []string{"SECONDS", "0"}, theirs, 0},
		{"observed", []string{"OBSERVED", "1"}, theirs, 0},
		{"not ours", []string{"EVENT", "release", "KEY", "192.88.99.70"}, theirs, 0},
		{"not ours either", []string{"KEY", "192.88.99.70"}, theirs, 0},
		{"a single IPv6 address", []string{"KEY", "2a01:4f8::1"}, theirs, 0},
		{"narrow", []string{"KEY", "2a01:4f8::/96"}, theirs, 0},
		{"IPv6", []string{"KEY", "2a01:4f8::/64"}, theirs + "|2a01:4f8::/64 scan2ban box sshd " + early, 1},
		{"IPv6 released", []string{"EVENT", "release", "KEY", "2a01:4f8::/64"}, theirs, 1},
	}
	each(t, func(t *testing.T, r *runner) {
		l := &list{t: t, items: []item{{"id-a", "192.88.99.70", `office "ip":"192.88.99.7"`, ""}, {"id-b", "192.88.99.8", "scan2ban other sshd 2026-11-28T00:00:00Z", ""}}}
		s := serve(t, l.answer)
		settings := "url = " + s.URL + "/client/v4\naccount = acc\nlist = lst\ntoken = " + secret + "\n"
		for _, row := range rows {
			l.wrote = 0
			code, out := r.run(t, "cloudflare", settings, event(row.changes...), "{}")
			s.take()
			if code != 0 || strings.Contains(out, "s3cr3t") || l.String() != row.want || l.wrote != row.wrote {
				t.Errorf("%s: exit %d, %q, %d changes, the list:\n%s\nis not\n%s", row.name, code, out, l.wrote, l, row.want)
			}
		}
		for _, method := range []string{"GET", "POST"} {
			s.answer = func(a asked) (int, string) {
				if a.method == method {
					return 429, secret
				}
				return l.answer(a)
			}
			if code, out := r.run(t, "cloudflare", settings, event(), "{}"); code == 0 || strings.Contains(out, "s3cr3t") || l.String() != theirs {
				t.Errorf("%s is refused: exit %d, %q, %s", method, code, out, l)
			}
		}
		if len(s.seen) > 0 {
			t.Errorf("the secret can be seen in %v", s.seen)
		}
	})
}
