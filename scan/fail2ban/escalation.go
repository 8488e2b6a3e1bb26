package fail2ban

import (
	"math"
	"strconv"
	"strings"

	"scan2ban/state/lazy"
)

// The formulas that a jail.conf of Fail2Ban's package names, without blanks: the one that
// holds where none is given, and the other that stands there as an example.
const (
	doubling    = "ban.Time*(1<<(ban.Countifban.Count<20else20))*banFactor"
	exponential = "ban.Time*math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)"
)

// escalation writes bantime.increment and what belongs to it. There a ban with c earlier
// ones lasts bantime times a number of c; here bantime x factor^c, at most max. What
// cannot be said so is noted, and the ban that follows lasts bantime x 2^c.
func (j *jail) escalation() {
	if !isTrue(j.text("bantime.increment")) {
		return
	}
	j.left("bantime.increment", "bantime.increment: a failure of an address that was banned before counts once here, not 2, 3, 5 ... times; "+
		"and earlier bans count for 90 days ([state] memory), not for dbpurgeage")
	limit := j.span("bantime.maxtime")
	factor, most, ok := j.growth(limit)
	if !ok {
		factor, most = 2, limit
	}
	if factor <= 1 {
		return
	}
	parts := []string{"factor = " + strconv.FormatFloat(factor, 'g', -1, 64)}
	if most > 0 {
		parts = append(parts, "max = "+timeOf(most))
	}
	if n := j.span("bantime.rndtime"); n > 0 {
		parts = append(parts, "jitter = "+timeOf(n))
		j.left("bantime.rndtime", "bantime.rndtime: a first ban is lengthened by a part of it too")
	}
	if isTrue(j.text("bantime.overalljails")) {
		parts = append(parts, "across_jails = true")
	}
	j.set("escalation", "{ "+strings.Join(parts, ", ")+" }")
}

// span reads a time in seconds; 0: it is not given, or is none.
func (j *jail) span(option string) int64 {
	text := j.text(option)
	n, ok := seconds(text)
	if text != "" && !ok {
		j.left(option, "%s = %s is no time", option, text)
	}
	return n
}

// growth finds the factor and the longest ban in seconds (0: no limit) that make the bans
// as long as they are there; ok is false where none do, which is noted.
func (j *jail) growth(limit int64) (factor float64, most int64, ok bool) {
	bantime, known := seconds(j.text("bantime"))
	if !known {
		bantime = 600 // Fail2Ban's own
	}
	scale, option := 1.0, ""
	if text := j.text("bantime.factor"); text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || n <= 0 {
			j.left("bantime.factor", "bantime.factor = %s is no number above 0; a ban lasts bantime x 2^(n-1) here", text)
			return 0, 0, false
		}
		scale, option = n, "bantime.factor"
	}
	formula := strings.Join(strings.Fields(j.text("bantime.formula")), "")
	var times func(c int) float64 // what bantime is multiplied with
	most = limit
	switch list := strings.Fields(j.text("bantime.multipliers")); {
	case len(list) > 0:
		option = "bantime.multipliers"
		numbers := make([]float64, len(list))
		for i, text := range list {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				j.left(option, "%s = %s: %s is no number from 1; a ban lasts bantime x 2^(n-1) here", option, strings.Join(list, " "), text)
				return 0, 0, false
			}
			numbers[i] = float64(n)
		}
		times = func(c int) float64 { return scale * numbers[min(c, len(numbers)-1)] }
		if end := int64(float64(bantime) * times(len(list))); limit == 0 || end < limit {
			most = end
		}
	case formula == "" || formula == doubling:
		times = func(c int) float64 { return max(1, scale*math.Exp2(float64(min(c, 20)))) }
	case formula == exponential:
		option = "bantime.formula"
		times = func(c int) float64 { return max(1, math.Exp(scale*float64(c))) }
	default:
		j.left("bantime.formula", "bantime.formula = %s: a ban lasts bantime x 2^(n-1) here", j.text("bantime.formula"))
		return 0, 0, false
	}
	factor = times(1)
	for c := 1; c <= 20; c++ {
		there, here := float64(bantime)*times(c), float64(bantime)*math.Pow(factor, float64(c))
		if limit > 0 {
			there = min(there, float64(limit))
		}
		if most > 0 {
			here = min(here, float64(most))
		}
		if math.Abs(here-there) > max(1, there*1e-9) {
			j.left(option, "%s = %s: no factor makes bans as long; a ban lasts bantime x 2^(n-1) here", option, j.text(option))
			return 0, 0, false
		}
	}
	return factor, most, true
}

var address = lazy.Regexp(`^(\d+\.\d+\.\d+\.\d+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)(/\d+)?$`)

// loopback are the names that every host has for itself.
var loopback = map[string][]string{"localhost": {"127.0.0.1/8", "::1"}, "ip6-localhost": {"::1"}, "ip6-loopback": {"::1"}}

func (j *jail) ignored() {
	list := []string{}
	for _, word := range words(j.text("ignoreip")) {
		own := loopback[strings.ToLower(word)]
		if address().MatchString(word) {
			own = []string{word}
		}
		if own == nil {
			j.left("ignoreip", "ignoreip %s: it is no address, and names are not resolved (write its addresses, or have a job of yours keep them in an ignorefile)", word)
		}
		for _, one := range own {
			if !has(list, one) {
				list = append(list, one)
			}
		}
	}
	if len(list) > 0 {
		j.set("ignoreip", tomlList(list))
	}
	if text := j.text("ignoreself"); text != "" && !isTrue(text) {
		j.set("ignoreself", "false")
	}
}
