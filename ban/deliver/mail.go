package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"scan2ban/state"
	"scan2ban/state/report"
)

// mailTries and mailAge bound how often and how long a mail is tried.
const (
	mailTries = 100
	mailAge   = 72 * time.Hour
)

// send hands a mail over and gives the error of that. The position is as if it had gone
// once it has, and else waits for another try of the same mail, or gives it up.
func (m *Mail) send(ctx context.Context, r *round, p *position, mail *message, upto int64, gone func()) error {
	_, err := m.hand(ctx, mail, r.host)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) { // the round was called off: no try
		return nil
	}
	return errors.Join(err, r.set(p, func() {
		if err != nil {
			p.failed(r.Now.Unix(), err)
			p.Upto, p.Made = upto, mail.time.Unix()
			if !p.hopeless(r.Now.Unix(), mailTries, mailAge) {
				return
			}
		}
		p.went()
		p.Seq, p.Upto, p.Made = upto, 0, 0
		gone()
	}))
}

// hand gives a message to the host's sendmail; said is what that printed.
func (m *Mail) hand(ctx context.Context, mail *message, host string) (said string, err error) {
	from := cmp.Or(m.From, Recipient("scan2ban@"+asDomain(host)))
	return Sendmail(ctx, m.Sendmail, mail.bytes(from, m.To, host))
}

// upto is the last decision that a mail holds, and when it is made: those of the one
// that failed, or all there is, now.
func (p *position) upto(r *round) (seq int64, made time.Time) {
	if p.Upto > p.Seq && p.Upto <= r.seq && p.Made > 0 {
		return p.Upto, time.Unix(p.Made, 0)
	}
	return r.seq, r.Now
}

// eachMail is [mail] with when = "each": what a pass did, in one mail.
type eachMail struct{ *Mail }

func (m *eachMail) name() string { return "mail each" }

func (m *eachMail) title() string { return "mail" }

const hour = 3600

// due holds mails back while the hour has had its share and that was told; what happens
// meanwhile is in the next one.
func (m *eachMail) due(p *position, at standing) bool {
	return p.ready(at.now) && p.Seq < at.seq && (!p.Told || p.recent(at.now) < m.MaxPerHour)
}

// recent is how many mails were sent in the hour before now; older ones are forgotten.
func (p *position) recent(now int64) int {
	p.Sent = slices.DeleteFunc(p.Sent, func(t int64) bool { return t <= now-hour || t > now })
	return len(p.Sent)
}

func (m *eachMail) deliver(ctx context.Context, r *round, p *position) error {
	upto, made := p.upto(r)
	now := r.Now.Unix()
	events := m.events(r, r.after(p.Seq, upto))
	if len(events) == 0 {
		return r.set(p, func() { p.Seq = upto })
	}
	if p.recent(now) >= m.MaxPerHour {
		return m.full(ctx, r, p, len(events))
	}
	return m.send(ctx, r, p, m.compose(ctx, r, events, made), upto, func() {
		p.Sent, p.Told = append(p.Sent, now), false
	})
}

// full says once that there were too many; it moves the position nowhere.
func (m *eachMail) full(ctx context.Context, r *round, p *position, waiting int) error {
	next := time.Unix(p.Sent[0]+hour, 0)
	mail := &message{id: fmt.Sprintf("full-%d", p.Sent[0]), time: r.Now, subject: fmt.Sprintf("[scan2ban] %s: %d mails in an hour, the next one at %s", r.host, len(p.Sent), next.Format("15:04")),
		text: fmt.Sprintf("%d mails were sent within an hour, as many as max_per_hour allows. What happens until\n%s comes together in one mail then (%s waiting now).\n\nWho is banned tells \"scan2ban banned\". Fewer mails come with when = \"digest\" or \"hourly\"\nin [mail] of the configuration.\n",
			len(p.Sent), next.Format("15:04:05 MST"), state.Plural(waiting, "event"))}
	seq := p.Seq
	return m.send(ctx, r, p, mail, seq, func() { p.Told = true })
}

// events are those that a mail tells of.
func (m *eachMail) events(r *round, list []state.Decision) (events []*Event) {
	for _, d := range list {
		e, ok := r.event(d)
		if ok && !d.Summed && slices.Contains([]string{"ban", "rebuild", "repair", "warning"}, e.Event) {
			events = append(events, &e)
		}
	}
	return events
}

const (
	eachMost   = 50 // lines of events in a mail
	quotedMost = 10 // addresses of which it quotes the log, or asks whois
)

func (m *eachMail) compose(ctx context.Context, r *round, events []*Event, made time.Time) *message {
	mail := &message{id: events[0].ID, time: made, subject: fmt.Sprintf("[scan2ban] %s: %s", r.host, events[0].Text)}
	bans := 0
	for _, e := range events {
		if e.Event == "ban" {
			bans++
		}
	}
	if len(events) > 1 {
		mail.id = state.Hash(events[0].ID + events[len(events)-1].ID)
		mail.subject = fmt.Sprintf("[scan2ban] %s: %s", r.host, state.Plural(len(events), "event"))
		if bans > 0 {
			mail.subject = fmt.Sprintf("[scan2ban] %s: %s, %s and others", r.host, state.Plural(bans, "ban"), firstBan(events).Key)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "On %s, %s:\n\n", r.host, report.Local(made.Unix()))
	for _, e := range events[:min(len(events), eachMost)] {
		fmt.Fprintf(&b, "%s\n", e.Text)
	}
	if more := len(events) - eachMost; more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	asked := 0
	for _, e := range events {
		if e.Event != "ban" || e.Address == "" {
			continue
		}
		if asked++; asked > quotedMost {
			break
		}
		m.about(ctx, r, &b, e)
	}
	b.WriteString("\nWhy, and what comes next: scan2ban why ADDRESS\nA wrong one: scan2ban unban ADDRESS\n")
	mail.text = b.String()
	return mail
}

func firstBan(events []*Event) *Event {
	return events[slices.IndexFunc(events, func(e *Event) bool { return e.Event == "ban" })]
}

// about adds what is known of a banned address: its network, its lines in the log.
func (m *eachMail) about(ctx context.Context, r *round, b *strings.Builder, e *Event) {
	addr, err := netip.ParseAddr(e.Address)
	if err != nil {
		return
	}
	var lines []string
	if m.Whois {
		lines = append(lines, contact(ctx, e.Address))
	}
	if m.Quote && r.Evidence != nil {
		lines = append(lines, r.Evidence(ctx, addr)...)
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", e.Address)
	for _, line := range lines {
		fmt.Fprintf(b, "    %s\n", report.Clean(line))
	}
}

// digestMail is [mail] with when = "digest" or "hourly": what happened in a span.
type digestMail struct{ *Mail }

func (m *digestMail) name() string { return "mail digest" }

func (m *digestMail) title() string { return "mail" }

// every is the span, in seconds.
func (m *digestMail) every() int64 {
	if m.When == Hourly {
		return hour
	}
	return m.Every.Seconds()
}

func (m *digestMail) due(p *position, at standing) bool {
	return p.ready(at.now) && (at.now >= p.Last+m.every() || at.now < p.Last || p.Upto > 0)
}

func (m *digestMail) deliver(ctx context.Context, r *round, p *position) error {
	upto, made := p.upto(r)
	d, err := m.digest(r, p, upto, made.Unix())
	if err != nil {
		return errors.Join(err, r.set(p, func() { p.failed(r.Now.Unix(), err) }))
	}
	after := func() { p.Last, p.Health = made.Unix(), d.HealthNow() }
	if d.Empty() { // no news is no mail
		return r.set(p, func() { p.Seq = upto; p.went(); after() })
	}
	if m.Whois {
		d.Contacts = map[string]string{}
		for _, address := range d.Worst(quotedMost) {
			d.Contacts[address] = contact(ctx, address)
		}
	}
	return m.send(ctx, r, p, m.compose(r, d, p, upto), upto, after)
}

// digest sums up the decisions after the position.
func (m *digestMail) digest(r *round, p *position, upto, made int64) (*report.Digest, error) {
	status, err := r.Status()
	if err != nil {
		return nil, err
	}
	before, isBefore := 0, m.before(r, p)
	for _, d := range r.list {
		if isBefore(d) {
			before++
		}
	}
	r.asking.Lock()
	defer r.asking.Unlock()
	d := report.NewDigest(r.after(p.Seq, upto), r.ledger, m.from(p, made), made)
	d.Host, d.Before, d.Status, d.Was, d.Where = r.host, before, status, p.Health, r.Where
	return d, nil
}

// from is where the span of a digest begins that is made then.
func (m *digestMail) from(p *position, made int64) int64 {
	if p.Last > made { // the clock was set back
		return made - m.every()
	}
	return p.Last
}

// before tells the bans of the span before, with which a digest compares its own.
func (m *digestMail) before(r *round, p *position) func(state.Decision) bool {
	_, made := p.upto(r)
	since := m.from(p, made.Unix()) - m.every()
	return func(d state.Decision) bool {
		return d.Seq <= p.Seq && d.Verb == state.Banned && !d.Summed && d.Time >= since
	}
}

func (m *digestMail) compose(r *round, d *report.Digest, p *position, upto int64) *message {
	var text, html strings.Builder
	d.Write(&text)
	d.HTML(&html)
	return &message{id: "digest-" + state.Hash(fmt.Sprintf("%d %d %d", p.Seq, upto, d.To)), time: time.Unix(d.To, 0),
		subject: fmt.Sprintf("[scan2ban] %s: %s", r.host, d.Subject()), text: text.String(), html: html.String()}
}
