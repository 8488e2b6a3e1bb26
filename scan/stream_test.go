package scan

import (
	"testing"

	"scan2ban/scan/filter"
	"scan2ban/scan/logfile"
)

// What a container prints on the other stream is not the jail's: nginx's error log,
// which a URL can forge, stands beside its access log.
func TestStreams(t *testing.T) {
	f, err := filter.Load("nginx-http-auth")
	if err != nil {
		t.Fatal(err)
	}
	w := Watch{Jail: f.Name, Matcher: f.Compile(filter.Normal), Container: true, Stream: f.Stream()}
	line := logfile.Line{Text: []byte(`203.0.113.7 - alice [22/Nov/2026:08:36:16 +0000] "GET / HTTP/1.1" 401 172 "-" "-"`), Inner: true}
	if v, own := w.Line(&line, 0); !own || v.Verdict.Kind != filter.Failure {
		t.Errorf("stdout: own %v, %s", own, v.Verdict.Kind)
	}
	line.Stream = 1
	if v, own := w.Line(&line, 0); own {
		t.Errorf("stderr: %s", v.Verdict.Kind)
	}
}
