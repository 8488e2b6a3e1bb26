package container

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scan2ban/scan/container/containertest"
)

func show(list []Container) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%s %s %s %s", c.Name, c.Engine, c.Driver, c.Network)
		for _, p := range c.Ports {
			fmt.Fprintf(&b, " %d-%d/%s", p.From, p.To, p.Protocol)
			if p.Local {
				b.WriteString("!")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// What Docker 26.1 and podman 5.4 left of the containers of testdata/containers.
func TestRecorded(t *testing.T) {
	root := containertest.Recorded(t)
	h := Find(root, nil)
	if h.Err != nil || len(h.Engines) != 2 {
		t.Fatal(h.Engines, h.Err)
	}
	id := "69748063dccaad111a73353676e52025a317e03536ad42dabbaa1ebcfa7c3c5d"
	want := "app-1 Docker json-file bridge\n" +
		"jd Docker journald bridge\n" +
		"k8s podman k8s-file \n" +
		"local Docker local host\n" +
		"ns Docker json-file container:" + id + "\n" +
		"once Docker json-file bridge\n" +
		"pj podman journald \n" +
		"prot podman k8s-file \n" +
		"ptag podman journald \n" +
		"pub Docker json-file bridge\n" +
		"vaultwarden Docker json-file bridge 53-53/udp 3012-3012/tcp! 8080-8080/tcp\n" +
		"web Docker json-file bridge 53-53/udp 3012-3012/tcp! 7000-7000/tcp 7001-7001/tcp 7002-7002/tcp 8080-8080/tcp\n"
	if got := show(h.Containers); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for _, c := range h.Containers {
		if _, err := os.Stat(c.Log); c.InFile() && err != nil {
			t.Error(err)
		}
	}
	for names, want := range map[string]string{"web": "web", "app-*": "app-1", "mytag": "app-1", "[pj]*b": "pub", "we": "", "WEB": "", "jtag": "jd"} {
		var got []string
		list := strings.Fields(names)
		h := Find(root, list)
		for _, c := range h.Named(list) {
			got = append(got, c.Name)
		}
		if strings.Join(got, " ") != want || !strings.Contains(names, "*") && len(h.Containers) > 8 {
			t.Errorf("%s means %q of %d that were read, want %q", names, got, len(h.Containers), want)
		}
	}
}

func TestNetworkOfAnother(t *testing.T) {
	root := t.TempDir()
	vpn := containertest.ID(1)
	containertest.Docker(t, root, vpn, "vpn", `{"LogConfig":{"Type":"json-file","Config":{}},"NetworkMode":"bridge","PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8000-8010"}],"81/tcp":[{"HostIp":"","HostPort":""}]}}`)
	containertest.Docker(t, root, containertest.ID(2), "app", `{"LogConfig":{"Type":"json-file","Config":{}},"NetworkMode":"container:`+vpn+`","PortBindings":{}}`)
	want := "app Docker json-file container:" + vpn + " 8000-8010/tcp\n"
	if got := show(Find(root, []string{"app"}).Containers); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestBrokenAndNone(t *testing.T) {
	if h := Find(t.TempDir(), nil); h.Err != nil || len(h.Containers)+len(h.Engines) > 0 {
		t.Errorf("nothing there: %+v", h)
	}
	root := t.TempDir()
	containertest.Docker(t, root, containertest.ID(1), "a", `{`)
	containertest.Docker(t, root, containertest.ID(2), "b", `{"LogConfig":{"Type":"json-file","Config":null},"NetworkMode":"host"}`)
	os.Mkdir(filepath.Join(root, "var/lib/docker/containers/tmp"), 0o700)
	os.Mkdir(filepath.Join(root, "var/lib/docker/containers", containertest.ID(3)), 0o700)
	h := Find(root, nil)
	if got := show(h.Containers); h.Err != nil || got != "a Docker  \nb Docker json-file host\n" || h.Containers[0].Err == nil {
		t.Errorf("%q, %v", got, h.Err)
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/docker/containers", containertest.ID(3), "config.v2.json"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if h := Find(root, nil); h.Err == nil || len(h.Containers) != 2 {
		t.Errorf("a broken one: %v", h.Err)
	}
}

func TestUnreadable(t *testing.T) {
	root := t.TempDir()
	containertest.Docker(t, root, containertest.ID(1), "a", `{}`)
	containertest.AsNobody(t, root, func() {
		if h := Find(root, nil); !errors.Is(h.Err, fs.ErrPermission) {
			t.Errorf("%v", h.Err)
		}
	})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The lines of testdata/containers/say.sh, by each engine.
func TestUnwrapRecorded(t *testing.T) {
	root := containertest.Recorded(t)
	for _, name := range []string{"vaultwarden", "k8s"} {
		c := Find(root, nil).Named([]string{name})[0]
		u := Unwrapper{Format: Wrap(c.Log)}
		var streams [Streams]Stream
		var got [Streams][]string
		for line := range bytes.Lines(read(t, c.Log)) {
			l, ok := u.Line(bytes.TrimSuffix(line, []byte{'\n'}))
			if !ok || !bytes.HasPrefix(l.Time, []byte("2026-11-24T04:0")) {
				t.Fatalf("%s: %q", name, line)
			}
			if whole, _, ok := streams[l.Stream].Add(l.Message, l.Last); ok {
				got[l.Stream] = append(got[l.Stream], string(whole))
			}
		}
		latin := "\ufffd"
		if name == "k8s" {
			latin = "\xff"
		}
		want := []string{
			"[2026-11-22 08:14:01.123][vaultwarden::api::identity][ERROR] Username or password is incorrect. Try again. IP: 203.0.113.1. Username: a@example.com.",
			"in three pieces", strings.Repeat("x", 16384), strings.Repeat("y", 40000) + " the end",
			"quote \" backslash \\ tab \t ctrl \x1b[31m cr \r nul \x00 latin " + latin + " utf \u00e4 <&> sep \u2028 end",
			`{"log":"{\"inner\":1}\n","stream":"stderr","time":"2026-11-22T08:14:01Z"}`, "",
		}
		if !slices.Equal(got[0], want) || !slices.Equal(got[1], []string{"on stderr"}) || !streams[0].Open() || streams[1].Open() {
			t.Errorf("%s: %.300q", name, got)
		}
	}
}

// A line that is not as dockerd or conmon writes it proves nothing.
func TestStrict(t *testing.T) {
	const at = `"time":"2026-11-22T08:14:01.5Z"}`
	for text, want := range map[string]string{
		`{"log":"a\n","stream":"stdout",` + at:                               `"a" 0 true`,
		`{"log":"a","stream":"stderr",` + at:                                 `"a" 1 false`,
		`{"log":"\n","stream":"stdout",` + at:                                `"" 0 true`,
		`{"stream":"stdout",` + at:                                           `"" 0 false`,
		`{"log":"a\n","stream":"stdout","attrs":{"tag":"x}\""},` + at:        `"a" 0 true`,
		`{"log":"\u003c\u0026\ud83d\ude00\ud83dx\n","stream":"stdout",` + at: "\"<&\U0001f600\ufffdx\" 0 true",
		`{"log":"a\",\"stream\":\"stderr\n","stream":"stdout",` + at:         `"a\",\"stream\":\"stderr" 0 true`,
		`{"log":"a","log":"b\n","stream":"stdout",` + at:                     "no",
		`{"stream":"stdout","log":"a\n",` + at:                               "no",
		`{"log":"a\n","stream":"stdin",` + at:                                "no",
		`{"log":"a\n","stream":"stdout",` + at + "x":                         "no",
		`{"log":"a\n","stream":"stdout","attrs":{"a":{}},` + at:              "no",
		`{"log":"a\n","stream":"stdout","time":"x","time":"2026"}`:           "no",
		`{"log":"a\q\n","stream":"stdout",` + at:                             "no",
		`{"log":"a\u00zz\n","stream":"stdout",` + at:                         "no",
		"{\"log\":\"a\tb\\n\",\"stream\":\"stdout\"," + at:                   "no",
		`{"log":"a\n","stream":"std`:                                         "no",
		`{"log":"a\n`:                                                        "no",
		`{"log":"a\`:                                                         "no",
		`{`:                                                                  "no",
		`Failed password for root from 203.0.113.66 port 1 ssh2`:             "no",
	} {
		u := Unwrapper{Format: JSON}
		got := "no"
		if l, ok := u.Line([]byte(text)); ok {
			got = fmt.Sprintf("%q %d %v", l.Message, l.Stream, l.Last)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	const cri = "2026-11-22T08:14:01.123456789+01:00 "
	for text, want := range map[string]string{
		cri + "stdout F a b ":           `"a b " 0 true`,
		cri + "stderr P a":              `"a" 1 false`,
		cri + "stdout F ":               `"" 0 true`,
		cri + "stdout F":                "no",
		cri + "stdout X a":              "no",
		cri + "other F a":               "no",
		"a stdout F a":                  "no",
		"2026-11-22T08:14:01 stdoutF a": "no",
		"":                              "no",
	} {
		u := Unwrapper{Format: CRI}
		got := "no"
		if l, ok := u.Line([]byte(text)); ok {
			got = fmt.Sprintf("%q %d %v", l.Message, l.Stream, l.Last)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestStream(t *testing.T) {
	var s Stream
	add := func(part string, last bool) string {
		line, long, ok := s.Add([]byte(part), last)
		return fmt.Sprintf("%.9s %d %v %v", line, len(line), long, ok)
	}
	s.Lose()
	for _, step := range []struct {
		part string
		last bool
		want string
	}{
		{"the end of something", false, " 0 false false"}, {"of it", true, " 0 false false"}, {"whole", true, "whole 5 false true"},
		{"a", false, " 0 false false"}, {"b", false, " 0 false false"}, {"c", true, "abc 3 false true"},
		{strings.Repeat("o", MaxLine), false, " 0 false false"}, {"y", false, " 0 false false"},
		{"z", true, fmt.Sprintf("ooooooooo %d true true", MaxLine)}, {"next", true, "next 4 false true"},
	} {
		if got := add(step.part, step.last); got != step.want {
			t.Errorf("%.9s: %s, want %s", step.part, got, step.want)
		}
	}
}

func TestWrap(t *testing.T) {
	id := containertest.ID(1)
	for path, want := range map[string]Format{
		"/x/" + id + "/" + id + "-json.log": JSON, "/x/" + id + "/" + id + "-json.log.12": JSON, "/x/" + id + "/" + id + "-json.log.1.gz": JSON,
		"/x/y/" + id + "-json.log": Plain, "/x/" + id + "/x-json.log": Plain, "/x/app-json.log": Plain,
		"/s/" + id + "/userdata/ctr.log": CRI, "/var/log/ctr.log": Plain,
	} {
		if got := Wrap(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

// FuzzJSON: what is accepted says what encoding/json reads.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"log":"a\u00e4\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-11-22T08:14:01Z"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		u := Unwrapper{Format: JSON}
		l, ok := u.Line(text)
		var o struct{ Log, Stream, Time string }
		if !ok || bytes.ContainsAny(text, "LSTOGREAMI\u017f\u212a") || json.Unmarshal(text, &o) != nil { // its names are of any case
			return
		}
		if got := string(bytes.ToValidUTF8(l.Message, []byte("\ufffd"))); got != strings.TrimSuffix(o.Log, "\n") && !bytes.Contains(text, []byte{0xff}) && json.Valid(text) && !strings.Contains(o.Log, "\ufffd") {
			t.Errorf("%q: %q, and encoding/json reads %q", text, got, o.Log)
		}
	})
}

// FuzzWrapped: a line comes out of an engine's wrapper as the container wrote it, from the
// stream to which it was written, in however many parts the engine cut it; what a client
// says makes no second line and no other stream.
func FuzzWrapped(f *testing.F) {
	f.Add([]byte("a \"b\" \\ c\x00\xff\u2028"), []byte("x\",\"stream\":\"stderr\",\"time\":\"2026-11-22T08:14:01Z\"}"), uint(3), true)
	f.Add([]byte("2026-11-24T04:02:05.7Z stderr F x"), []byte(""), uint(1), false)
	wrapped := map[Format]func(part []byte, stream string, last bool) []byte{
		JSON: func(part []byte, stream string, last bool) []byte {
			log := string(part)
			if last {
				log += "\n"
			}
			var line bytes.Buffer
			out := json.NewEncoder(&line)
			out.SetEscapeHTML(false)
			if err := out.Encode(struct {
				Log    string            `json:"log,omitempty"`
				Stream string            `json:"stream"`
				Attrs  map[string]string `json:"attrs,omitempty"`
				Time   string            `json:"time"`
			}{log, stream, map[string]string{"tag": log}, "2026-11-24T04:04:49.292802691Z"}); err != nil {
				panic(err)
			}
			return bytes.TrimSuffix(line.Bytes(), []byte("\n"))
		},
		CRI: func(part []byte, stream string, last bool) []byte {
			tag := map[bool]string{true: "F", false: "P"}[last]
			return append([]byte("2026-11-24T04:02:05.749601955+00:00 "+stream+" "+tag+" "), part...)
		},
	}
	f.Fuzz(func(t *testing.T, a, b []byte, cut uint, stderr bool) {
		for format, wrap := range wrapped {
			u := Unwrapper{Format: format}
			var streams [Streams]Stream
			for i, message := range [][]byte{a, b} {
				message = bytes.ReplaceAll(bytes.ToValidUTF8(message, []byte("\ufffd")), []byte("\n"), []byte(" "))
				name, number := "stdout", 0
				if stderr == (i == 0) {
					name, number = "stderr", 1
				}
				runes := []rune(string(message))
				step := int(cut%64) + 1
				for from := 0; ; from += step {
					last := from+step >= len(runes)
					part := string(runes[min(from, len(runes)):min(from+step, len(runes))])
					l, ok := u.Line(wrap([]byte(part), name, last))
					if !ok || l.Stream != number || l.Last != last || string(l.Message) != part {
						t.Fatalf("format %d: %q of %q came out as %+v, %v", format, part, message, l, ok)
					}
					line, long, whole := streams[l.Stream].Add(l.Message, l.Last)
					if whole != last || long || last && string(line) != string(message) {
						t.Fatalf("format %d: %q came out as %q, %v", format, message, line, whole)
					}
					if last {
						break
					}
				}
			}
		}
	})
}

func BenchmarkUnwrap(b *testing.B) {
	line := []byte(`{"log":"[2026-11-22 08:14:01.123][vaultwarden::api::identity][ERROR] Username or password is incorrect. IP: 203.0.113.1. Username: \"a@example.com\".\n","stream":"stdout","time":"2026-11-24T04:04:49.292802691Z"}`)
	u := Unwrapper{Format: JSON}
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, ok := u.Line(line); !ok {
			b.Fatal()
		}
	}
}
