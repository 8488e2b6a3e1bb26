package install

import "scan2ban/scan/host"

// Here sets what has to be known of the host that this runs on; with sshd also the ports
// of its sshd, whose error is no more than a warning.
func (o *Options) Here(sshd bool) (err error) {
	o.Host.Systemd = host.Systemd()
	o.Host.Fail2Ban, _ = host.Fail2Ban()
	if sshd {
		o.Host.SSHPorts, o.Host.PortsFrom, err = host.SSHPorts()
	}
	return err
}
