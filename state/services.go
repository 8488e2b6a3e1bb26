package state

// services are the port names that a jail may use, of the IANA service name
// registry (iana.org/assignments/service-names-port-numbers) where it has them.
// They are embedded because a minimal host has no /etc/services.
var services = map[string]uint16{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53,
	"http": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "nntp": 119, "ntp": 123,
	"imap": 143, "imap2": 143, "snmp": 161, "ldap": 389, "https": 443, "submissions": 465,
	"smtps": 465, "ssmtp": 465, "urd": 465, "submission": 587, "ldaps": 636, "rsync": 873,
	"ftps-data": 989, "ftps": 990, "imaps": 993, "pop3s": 995, "socks": 1080, "openvpn": 1194,
	"ms-sql-s": 1433, "squid": 3128, "mysql": 3306, "ms-wbt-server": 3389, "rdp": 3389,
	"svn": 3690, "sieve": 4190, "managesieve": 4190, "sip": 5060, "sips": 5061, "xmpp-client": 5222,
	"xmpp-server": 5269, "postgresql": 5432, "vnc": 5900, "redis": 6379, "http-alt": 8080,
	"proxmox": 8006, "cockpit": 9090, "webmin": 10000, "mongodb": 27017,
}
