package state

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"net/netip"
	"slices"
	"strconv"
)

// Version of state.json that this program writes, and the newest that it reads.
const Version = 1

// ErrNewer says that a newer scan2ban wrote the state.
var ErrNewer = errors.New("written by a newer scan2ban")

// The last member of the object is the CRC-32 (IEEE) of all bytes before it.
const checksum = `,"checksum":"`

// vouches tells whether sum is that of the parts, one after the other. A CRC-32C is one
// too, and is asked for last: making its table takes longer than reading most states.
func vouches(sum uint32, parts ...[]byte) bool {
	is := func(table *crc32.Table) bool {
		have := uint32(0)
		for _, part := range parts {
			have = crc32.Update(have, table, part)
		}
		return have == sum
	}
	return is(crc32.IEEETable) || is(crc32.MakeTable(crc32.Castagnoli))
}

// encode writes the state as one JSON object, piece by piece: of a flood's state there is
// never a second copy in memory. Layout, with times in seconds since the Unix epoch unless
// a name says otherwise:
//
//	{"version":1, "saved":T, "pruned":T, "history":LENGTH, "seq":N,
//	 "sources":{"journal":{"cursor":"...","time":MICROSECONDS}}, "files":{...},
//	 "jails":{"sshd":{
//	   "reach":{...}, "prefixes":[32,64], "seen":{...}, "ignored":"HASH", "next_end":T,
//	   "pardons":{KEY:T}, "successes":{KEY:T}, "through":{...}, "recall":{...},
//	   "recounted":T, "recounted_from":T, "recounted_at":T,
//	   "bans":{KEY:{"address":A,"since":T,"until":T|null,"failures":N,"late":N,"users":[...],"n":N,"rule":R,"members":[KEY...],"by_hand":B,"forced":B,"ended":B,"enforced":T}},
//	   "networks":{NETWORK:[[T,1,KEY],...]},
//	   "sessions":{"BOOT/PID":[T,STAGE,COUNTED,MARK...]},
//	   "window":{KEY:[[T,WEIGHT,USER],...]}}},
//	 "checksum":"CRC32"}
func (s *State) encode(w io.Writer) error {
	out := &pieces{w: w}
	sources := s.Sources
	sources.Files = nil
	b := fmt.Appendf(nil, `{"version":%d,"saved":%d,"pruned":%d,"history":%d,"seq":%d,"sources":%s`,
		Version, s.Saved, s.Pruned, s.History.Length, s.History.Seq, mustJSON(sources))
	if s.Sources.Files != nil { // apart, to be stepped over
		b = append(append(b, `,"files":`...), s.Sources.Files...)
	}
	b = append(b, `,"jails":{`...)
	for i, name := range s.Names() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '\n')
		b = append(appendText(b, name), ':')
		b = s.Jails[name].append(b, out)
	}
	out.write(append(b, "\n}"...))
	_, err := fmt.Fprintf(w, "%s%08x\"}\n", checksum, out.sum)
	return cmp.Or(out.err, err)
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own plain structs
	}
	return b
}

func (j *Jail) append(b []byte, out *pieces) []byte {
	b = fmt.Appendf(b, `{"reach":%s,"prefixes":[%d,%d],"seen":%s,"ignored":%q,"next_end":%d,"pardons":%s,"successes":%s`,
		mustJSON(j.Reach), j.Prefixes[0], j.Prefixes[1], mustJSON(j.Seen), j.Ignored, j.nextEnd, mustJSON(j.Pardons), mustJSON(j.Successes))
	if j.Through != nil {
		b = append(append(b, `,"through":`...), mustJSON(j.Through)...)
	}
	if j.Recall != nil {
		b = append(append(b, `,"recall":`...), j.Recall...)
	}
	if j.Recounted != 0 {
		b = fmt.Appendf(b, `,"recounted":%d,"recounted_from":%d,"recounted_at":%d`, j.Recounted, j.recount.from, j.recount.reached)
	}
	b = appendLazy(append(b, `,"bans":`...), out, &j.bans, appendBans)
	if !j.networks.ready || len(j.networks.value) > 0 {
		b = appendLazy(append(b, `,"networks":`...), out, &j.networks, appendWindows)
	}
	b = appendLazy(append(b, `,"sessions":`...), out, &j.sessions, appendSessions)
	b = appendLazy(append(b, `,"window":`...), out, &j.windows, appendWindows)
	return out.full(append(b, '}'))
}

func appendLazy[T any](b []byte, out *pieces, l *lazy[T], write func([]byte, *pieces, T) []byte) []byte {
	if !l.ready {
		if len(l.raw) < piece {
			return append(b, l.raw...)
		}
		b = out.write(b)
		out.write(l.raw)
		return b
	}
	return write(b, out, l.value)
}

// appendMap writes a map of keys, one a line.
func appendMap[V any](b []byte, out *pieces, m map[Key]V, value func([]byte, V) []byte) []byte {
	b = append(b, '{')
	for i, key := range sortedKeys(m) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '\n', '"')
		if key.IsSingleIP() {
			b = key.Addr().AppendTo(b)
		} else {
			b = key.Prefix.AppendTo(b)
		}
		b = out.full(value(append(b, '"', ':'), m[*key]))
	}
	return append(b, '}')
}

// sortedKeys are pointers to the keys: slices.SortFunc is in the binary once for all pointers.
func sortedKeys[V any](m map[Key]V) []*Key {
	keys, sorted := make([]Key, 0, len(m)), make([]*Key, 0, len(m))
	for key := range m {
		keys = append(keys, key)
		sorted = append(sorted, &keys[len(keys)-1])
	}
	slices.SortFunc(sorted, func(a, b *Key) int { return compareKeys(*a, *b) })
	return sorted
}

func appendBans(b []byte, out *pieces, bans map[Key]*Ban) []byte {
	return appendMap(b, out, bans, func(b []byte, x *Ban) []byte {
		b = append(b, `{"address":`...)
		b = appendText(b, addressText(x.Addr))
		b = strconv.AppendInt(append(b, `,"since":`...), x.Since, 10)
		b = append(b, `,"until":`...)
		if x.Until == 0 {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendInt(b, x.Until, 10)
		}
		b = strconv.AppendInt(append(b, `,"failures":`...), int64(x.Failures), 10)
		b = strconv.AppendInt(append(b, `,"late":`...), int64(x.Late), 10)
		b = strconv.AppendInt(append(b, `,"n":`...), int64(x.N), 10)
		b = append(b, `,"users":[`...)
		for i, user := range x.Users {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, user)
		}
		b = appendText(append(b, `],"rule":`...), x.Rule)
		b = appendMembers(b, x.Members)
		if x.ByHand {
			b = append(b, `,"by_hand":true`...)
		}
		if x.Forced {
			b = append(b, `,"forced":true`...)
		}
		if x.Ended {
			b = append(b, `,"ended":true`...)
		}
		if x.Enforced != 0 {
			b = strconv.AppendInt(append(b, `,"enforced":`...), x.Enforced, 10)
		}
		return append(b, '}')
	})
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func appendWindows(b []byte, out *pieces, windows map[Key]*window) []byte {
	return appendMap(b, out, windows, func(b []byte, w *window) []byte {
		b = append(b, '[')
		for i, h := range w.hits {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(append(b, '['), h.time, 10)
			b = strconv.AppendInt(append(b, ','), int64(h.weight), 10)
			b = append(appendText(append(b, ','), h.user), ']')
		}
		return append(b, ']')
	})
}

// Decode reads what encode wrote, and keeps data. Anything else is an error:
// ErrNewer for a version that this program does not know.
func Decode(data []byte) (*State, error) {
	body := bytes.TrimRight(data, "\n")
	at := bytes.LastIndex(body, []byte(checksum))
	if at < 0 {
		return nil, cmpVersion(data, errors.New("no checksum: the file is cut short or was written by something else"))
	}
	digits, whole := bytes.CutSuffix(body[at+len(checksum):], []byte(`"}`))
	want, err := strconv.ParseUint(string(digits), 16, 32)
	if !whole || err != nil || !vouches(uint32(want), body[:at]) {
		if number := bytes.IndexByte(body, ','); err == nil && vouches(uint32(want), fmt.Appendf(nil, `{"version":%d`, Version), body[number:at]) {
			return nil, errors.New("the number of its version is damaged") // and is no newer one
		}
		return nil, cmpVersion(data, errors.New("the checksum does not match: the file was altered or damaged"))
	}
	s := New()
	version := int64(0)
	body[at] = '}' // the object without its checksum
	in := &scanner{data: body[:at+1]}
	err = in.object(func(name string) (err error) {
		switch name {
		case "version":
			version, err = in.integer()
		case "saved":
			s.Saved, err = in.integer()
		case "pruned":
			s.Pruned, err = in.integer()
		case "history":
			s.History.Length, err = in.integer()
		case "seq":
			s.History.Seq, err = in.integer()
		case "sources":
			err = in.value(&s.Sources)
		case "files":
			s.Sources.Files, err = in.raw()
		case "jails":
			err = in.object(func(name string) error { return s.Jail(name).decode(in) })
		default:
			_, err = in.raw()
		}
		return err
	})
	if version > Version {
		return nil, fmt.Errorf("version %d: %w", version, ErrNewer)
	}
	if err == nil && version != Version {
		err = fmt.Errorf("version %d is unknown", version)
	}
	if err == nil {
		err = s.usual()
	}
	s.horizon, _ = s.Sources.Horizon(math.MaxInt64)
	return s, err
}

// cmpVersion lets a newer version's different layout not pass for damage.
func cmpVersion(data []byte, err error) error {
	var head struct{ Version int }
	if json.Unmarshal(data, &head) == nil && head.Version > Version {
		return fmt.Errorf("version %d: %w", head.Version, ErrNewer)
	}
	return err
}

func (j *Jail) decode(in *scanner) error {
	return in.object(func(name string) (err error) {
		var raw []byte
		switch name {
		case "reach":
			err = in.reach(&j.Reach)
		case "prefixes":
			err = in.prefixes(&j.Prefixes)
		case "seen":
			err = in.value(&j.Seen)
		case "ignored":
			j.Ignored, err = in.text()
		case "next_end":
			j.nextEnd, err = in.integer()
		case "pardons":
			err = in.value(&j.Pardons)
		case "successes":
			err = in.value(&j.Successes)
		case "through":
			err = in.value(&j.Through)
		case "recall":
			j.Recall, err = in.raw()
		case "recounted":
			j.Recounted, err = in.integer()
			j.recount.reached = j.Recounted
		case "recounted_from":
			j.recount.from, err = in.integer()
		case "recounted_at":
			j.recount.reached, err = in.integer()
		case "bans":
			raw, err = in.raw()
			j.bans.later(raw, func(raw []byte) (map[Key]*Ban, error) { return readBans(j.Name, raw) })
		case "networks":
			raw, err = in.raw()
			j.networks.later(raw, readWindows)
		case "sessions":
			raw, err = in.raw()
			j.sessions.later(raw, readSessions)
		case "window":
			raw, err = in.raw()
			j.windows.later(raw, readWindows)
		default:
			_, err = in.raw()
		}
		return err
	})
}

// reach reads a jail's reach: every pass reads that of every jail.
func (s *scanner) reach(r *Reach) error {
	*r = Reach{}
	return s.object(func(name string) (err error) {
		if s.peek() == 'n' { // null
			_, err = s.raw()
			return err
		}
		var text string
		switch name {
		case "ports":
			r.Ports = Ports{}
			err = s.array(func() error {
				var p Port
				text, err := s.text()
				if err == nil {
					err = p.parse(text)
				}
				r.Ports = append(r.Ports, p)
				return err
			})
		case "protocol":
			r.Protocol = []string{}
			err = s.array(func() error {
				text, err := s.text()
				r.Protocol = append(r.Protocol, text)
				return err
			})
		case "blocktype":
			if text, err = s.text(); err == nil && text != "" {
				err = r.BlockType.UnmarshalText([]byte(text))
			}
		case "forwarded":
			err = s.value(&r.Forwarded)
		case "enforce":
			err = s.value(&r.Enforce)
		default:
			_, err = s.raw()
		}
		return err
	})
}

// prefixes reads [32,64].
func (s *scanner) prefixes(p *[2]int) error {
	place := 0
	return s.array(func() error {
		n, err := s.integer()
		if place < len(p) {
			p[place] = int(n)
		}
		place++
		return err
	})
}

func readBans(jail string, raw []byte) (map[Key]*Ban, error) {
	bans := make(map[Key]*Ban, bytes.Count(raw, []byte{'\n'}))
	in := &scanner{data: raw}
	err := in.keys(func(key Key) error {
		b := &Ban{Jail: jail, Key: key}
		bans[key] = b
		return in.object(func(name string) (err error) { return b.decode(in, name) })
	})
	return bans, err
}

func (b *Ban) decode(in *scanner, name string) (err error) {
	var n int64
	var text string
	switch name {
	case "address":
		if text, err = in.text(); err == nil && text != "" {
			b.Addr, err = netip.ParseAddr(text)
		}
	case "since":
		b.Since, err = in.integer()
	case "until":
		if in.peek() == 'n' {
			_, err = in.raw()
			break
		}
		b.Until, err = in.integer()
	case "failures":
		n, err = in.integer()
		b.Failures = int(n)
	case "late":
		n, err = in.integer()
		b.Late = int(n)
	case "n":
		n, err = in.integer()
		b.N = int(n)
	case "users":
		err = in.array(func() error {
			user, err := in.text()
			b.Users = append(b.Users, user)
			return err
		})
	case "rule":
		b.Rule, err = in.text()
	case "members":
		err = in.value(&b.Members)
	case "by_hand":
		err = in.value(&b.ByHand)
	case "forced":
		err = in.value(&b.Forced)
	case "ended":
		err = in.value(&b.Ended)
	case "enforced":
		b.Enforced, err = in.integer()
	default:
		_, err = in.raw()
	}
	return err
}

func readWindows(raw []byte) (map[Key]*window, error) {
	// One key a line; most have a single failure. Windows and hits are cut from two
	// slabs, for a hundred thousand small allocations cost more than the reading.
	n := bytes.Count(raw, []byte{'\n'})
	windows, slab, hits := make(map[Key]*window, n), make([]window, n), make([]hit, 0, bytes.Count(raw, []byte("],["))+n)
	in := &scanner{data: raw}
	err := in.keys(func(key Key) error {
		if len(slab) == 0 {
			slab = make([]window, 64)
		}
		w := &slab[0]
		slab = slab[1:]
		w.key = key
		windows[key] = w
		from := len(hits)
		err := in.array(func() error {
			h, err := in.hit()
			hits = append(hits, h)
			w.weight += h.weight
			return err
		})
		w.hits = hits[from:len(hits):len(hits)]
		if err == nil && (len(w.hits) == 0 || !slices.IsSortedFunc(w.hits, func(a, b hit) int { return cmp.Compare(a.time, b.time) })) {
			err = fmt.Errorf("window of %s: %w", key, errSyntax)
		}
		return err
	})
	return windows, err
}

// hit reads [SECOND,WEIGHT,USER].
func (s *scanner) hit() (h hit, err error) {
	place := 0
	err = s.array(func() (err error) {
		var n int64
		switch place {
		case 0:
			h.time, err = s.integer()
		case 1:
			n, err = s.integer()
			h.weight = int(n)
		case 2:
			h.user, err = s.text()
		}
		place++
		return err
	})
	return h, err
}
