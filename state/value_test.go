package state

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	tests := []struct {
		text string
		want Duration
		ok   bool
	}{
		{"600", Duration(10 * time.Minute), true},
		{"10m", Duration(10 * time.Minute), true},
		{"1d12h", Duration(36 * time.Hour), true},
		{"1d 12h", Duration(36 * time.Hour), true},
		{"4w", Duration(28 * 24 * time.Hour), true},
		{"1mo", Duration(2629800 * time.Second), true},
		{"1y", Duration(31557600 * time.Second), true},
		{"permanent", Permanent, true}, {"-1", Permanent, true},
		{"0", 0, true},
		{"", 0, false}, {"m", 0, false}, {"10", Duration(10 * time.Second), true}, {"10x", 0, false}, {"-5m", 0, false},
		{"1.5h", 0, false}, {"1d 12", 0, false}, {"99999999999999999999s", 0, false}, {"200y", 0, false}, {"2147483647y", 0, false},
		{"100y", Duration(maxDuration), true}, {"100y1s", 0, false}, {"100y100y100y", 0, false},
	}
	for _, test := range tests {
		if got, err := ParseDuration(test.text); got != test.want || (err == nil) != test.ok {
			t.Errorf("%q: %v, %v", test.text, time.Duration(got), err)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	tests := []struct{ text, want string }{ // an empty want is an error
		{"192.0.2.1", "192.0.2.1"}, {"192.0.2.77/24", "192.0.2.0/24"}, {"2001:db8::1/64", "2001:db8::/64"},
		{"::ffff:192.0.2.1", "192.0.2.1"}, {"::ffff:192.0.2.0/120", "192.0.2.0/24"}, {" 192.0.2.1 ", "192.0.2.1"},
		{"::ffff:0:0/90", ""}, {"fe80::1%eth0", ""}, {"example.com", ""}, {"192.0.2.1/33", ""}, {"", ""},
	}
	for _, test := range tests {
		got, err := ParsePrefix(test.text)
		if test.want == "" && err == nil || test.want != "" && (err != nil || got.String() != test.want) {
			t.Errorf("%q: %v, %v; want %q", test.text, got, err, test.want)
		}
	}
}

func TestParseIPv4(t *testing.T) {
	for _, text := range []string{"192.0.2.1", "0.0.0.0", "255.255.255.255", "010.0.0.1", "1.2.3.256", "1.2.3", "1.2.3.4.5", "1..2.3", "1.2.3.4 ", "::1", ""} {
		want, err := netip.ParseAddr(text)
		if got, ok := ParseIPv4([]byte(text)); ok != (err == nil && want.Is4()) || ok && got != want {
			t.Errorf("%q is %v (%v), not %v (%v)", text, got, ok, want, err)
		}
		var key Key
		fails := key.UnmarshalText([]byte(text))
		if got, err := parseKey([]byte(text)); got != key || (err == nil) != (fails == nil) {
			t.Errorf("%q is the key %v (%v), not %v (%v)", text, got, err, key, fails)
		}
	}
}

func TestPlural(t *testing.T) {
	for want, got := range map[string]string{
		"1 ban": Plural(1, "ban"), "0 bans": Plural(0, "ban"), "1 try": Plural(1, "try"), "2 tries": Plural(2, "try"), "3 keys": Plural(3, "key"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestPorts(t *testing.T) {
	tests := []struct {
		value any
		want  string
	}{
		{"ssh,2222", "22 2222"}, {int64(22), "22"}, {[]any{"ssh", int64(2222), "6000-6100", "7000:7001"}, "22 2222 6000-6100 7000-7001"},
		{"all", "all"}, {"sshd", ""}, {int64(0), ""}, {int64(65536), ""}, {"9-8", ""}, {3.5, ""},
	}
	for _, test := range tests {
		var ps Ports
		err := ps.UnmarshalTOML(test.value)
		got := ""
		for i, p := range ps {
			if i > 0 {
				got += " "
			}
			got += p.String()
		}
		if test.want == "" && err == nil || test.want != "" && (err != nil || got != test.want) {
			t.Errorf("%v: %q, %v; want %q", test.value, got, err, test.want)
		}
	}
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-20T18:00:00Z": time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC),
		"2026-11-20":           time.Date(2026, 11, 20, 0, 0, 0, 0, time.Local),
		"30d":                  now.AddDate(0, 0, -30),
	} {
		if got, err := ParseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"yesterday", "2030", "permanent", ""} {
		if _, err := ParseTime(text, now); err == nil {
			t.Errorf("%q is no time", text)
		}
	}
}

// Every field of a Reach counts where two are compared.
func TestSameReach(t *testing.T) {
	other := Reach{Ports: Ports{{From: 22, To: 22}}, Protocol: []string{"tcp"}, BlockType: Reject, Forwarded: true, Enforce: true}
	if !other.same(other) || other.same(Reach{}) || !(Reach{}).same(Reach{}) {
		t.Errorf("%+v is not itself", other)
	}
	from := reflect.ValueOf(other)
	for i := range from.NumField() {
		var r Reach
		reflect.ValueOf(&r).Elem().Field(i).Set(from.Field(i))
		if from.Field(i).IsZero() || r.same(Reach{}) || (Reach{}).same(r) {
			t.Errorf("%s is not compared", from.Type().Field(i).Name)
		}
	}
}
