package journaltest

import "fmt"

// Attack is what sshd logs of n wrong passwords, one every seven seconds from
// the second begin on, by three addresses at a time, IPv4 and IPv6, of which two
// change now and then: two entries each.
func Attack(begin int64, n int) (entries []Entry) {
	for i := range n {
		from := []string{fmt.Sprintf("203.0.113.%d", 1+i/50), fmt.Sprintf("2001:db8:0:%x::1", 1+i/50), "198.51.100.9"}
		for k, line := range []string{"Invalid user u%d from %s port 4711", "Failed password for invalid user u%d from %s port 4711 ssh2"} {
			entries = append(entries, Entry{
				Time:    (begin+int64(7*i))*1e6 + int64(k),
				Message: fmt.Sprintf(line, i, from[i%3]),
				Fields: map[string]string{"_UID": "0", "_TRANSPORT": "syslog", "_SYSTEMD_UNIT": "ssh.service",
					"SYSLOG_IDENTIFIER": "sshd", "_PID": fmt.Sprint(1000 + i)},
			})
		}
	}
	return entries
}
