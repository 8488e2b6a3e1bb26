package pass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"scan2ban/ban"
	"scan2ban/ban/nftables"
	"scan2ban/state"
)

// Restore brings the kernel to what the ledger said after the last pass and reads
// no log: for the moment before the network comes up, and after another firewall
// has flushed ours away. It gives the number of bans, and nothing for a host on
// which no pass has run or that is paused. The lists that others keep come with them;
// the warnings are what is news of these. Where the configuration cannot be read, who
// enforces the bans and what lists close is as at the last pass, and what these hold stays;
// a kernel with a list of which that is not known is left as it is.
func Restore(ctx context.Context, s Setup) (bans int, warnings []string, err error) {
	path := s.StatePath
	store, ledger, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	} else if err != nil {
		return 0, nil, err
	}
	defer store.Close()
	v := state.LoadVolatile(state.VolatilePath(path))
	if s.Unread != nil {
		warnings = append(warnings, fmt.Sprintf("%v; the bans are brought back, and of lists what the kernel holds is kept (run \"scan2ban check\")", s.Unread))
		s.Lists, s.Spared = knownLists(v).remembered(), nil
		if v.Left || v.Stays {
			s.Kernel.Backend = nftables.ByHooks
		}
	}
	if err := store.Paused(); errors.As(err, new(*state.PausedError)) || s.Kernel.Backend == nftables.ByHooks {
		return 0, nil, nil // the hooks are told of them, see package deliver
	} else if err != nil {
		return 0, nil, err
	}
	groups := ban.Groups(ledger, s.Now)
	for _, g := range groups {
		bans += len(g.Elements)
	}
	listed, _, known := s.look(knownLists(v), func(err error) { warnings = append(warnings, err.Error()) })
	if s.Unread != nil {
		kernel, err := nftables.Dump(ctx)
		if err != nil {
			return 0, warnings, err
		}
		for _, name := range kernel.Lists {
			if !slices.ContainsFunc(listed, func(g nftables.Group) bool { return g.Name == name }) {
				return 0, []string{fmt.Sprintf("%v; what %s closes is not known, so the kernel is left as it is, the bans too (run \"scan2ban check\")", s.Unread, name)}, nil
			}
		}
	}
	result, err := s.Kernel.Sync(ctx, slices.Concat(listed, groups), nil, nil)
	if err != nil {
		return 0, warnings, err
	}
	if result.Commits > 0 { // what was logged until now came while the kernel held nothing
		v.Held, v.Left, v.Stays = s.Now.Unix(), false, false
		if v.Lists, err = json.Marshal(known); err != nil {
			return bans, warnings, err
		}
		_ = v.Save(state.VolatilePath(path))
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(result.Failed)) {
		errs = append(errs, refused(name, result.Failed[name]))
	}
	return bans, warnings, errors.Join(errs...)
}

// open locks the store at path and loads its state.
func open(path string) (*state.Store, *state.State, error) {
	store, err := state.OpenStore(path, false)
	if err != nil {
		return nil, nil, err
	}
	ledger, err := (*state.State)(nil), store.Lock(lockWait)
	if err == nil {
		ledger, err = store.Load()
	}
	if err != nil {
		store.Close()
		return nil, nil, err
	}
	return store, ledger, nil
}

// Pause takes every ban out of the kernel and keeps passes from bringing them
// back until [Resume]. What is known stays known. It gives the mark's
// *state.PausedError.
func Pause(ctx context.Context, path string) (error, error) {
	store, err := state.OpenStore(path, true)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	if err := store.Lock(lockWait); err != nil {
		return nil, err
	}
	if err := store.Pause(); err != nil {
		return nil, err
	}
	return store.Paused(), nftables.Remove(ctx)
}

// Resume lets passes change the kernel again; the caller makes one. Without a
// pause before it is an error.
func Resume(path string) error {
	store, err := state.OpenStore(path, false)
	if err == nil {
		defer store.Close()
		err = store.Lock(lockWait)
	}
	if err == nil {
		err = store.Resume()
	}
	if err == nil { // the pause emptied the kernel: that it lacks the bans now is no repair
		v := state.LoadVolatile(state.VolatilePath(path))
		v.Kernel, v.Settled = nil, "paused"
		_ = v.Save(state.VolatilePath(path))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("not paused")
	}
	return err
}
