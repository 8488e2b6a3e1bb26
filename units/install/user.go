package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"syscall"
)

const user = "scan2ban"

// account reads the ids of the passes' user.
func (in *Install) account() (uid, gid int, ok bool) {
	text, _ := os.ReadFile(in.path("/etc/passwd"))
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 3 && f[0] == user {
			uid, err1 := strconv.Atoi(f[2])
			gid, err2 := strconv.Atoi(f[3])
			return uid, gid, err1 == nil && err2 == nil
		}
	}
	return 0, 0, false
}

func (in *Install) hasUser() bool { _, _, ok := in.account(); return ok }

func (in *Install) hasGroup() bool {
	text, _ := os.ReadFile(in.path("/etc/group"))
	return strings.Contains("\n"+string(text), "\n"+user+":")
}

// makeUser makes the user with what the host has for that.
func (in *Install) makeUser(ctx context.Context) error {
	if in.hasUser() {
		return nil
	}
	sysusers := sysusersPath
	if in.fromPackage() {
		sysusers = "/usr/lib/sysusers.d/scan2ban.conf"
	}
	var errs []error
	for _, way := range [][]string{
		{"systemd-sysusers", sysusers},
		{"useradd", "--system", "--user-group", "--no-create-home", "--home-dir", stateDir, "--shell", "/usr/sbin/nologin", user},
		{"adduser", "-S", "-D", "-H", "-h", stateDir, "-s", "/sbin/nologin", user}, // busybox
	} {
		_, err := in.Runner.Run(ctx, "", way[0], way[1:]...)
		if err == nil {
			in.say("made the user %s", user)
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("make the user %s: %w", user, errors.Join(errs...))
}

// removeUser takes user and group away.
func (in *Install) removeUser(ctx context.Context) error {
	if !in.hasUser() {
		return nil
	}
	if _, err := in.first(ctx, "", [][]string{{"userdel", user}, {"deluser", user}}); err != nil {
		return fmt.Errorf("remove the user %s: %w", user, err)
	}
	if in.hasGroup() { // where users do not take their group with them
		if _, err := in.first(ctx, "", [][]string{{"groupdel", user}, {"delgroup", user}}); err != nil {
			return fmt.Errorf("remove the group %s: %w", user, err)
		}
	}
	in.say("removed the user %s", user)
	return nil
}

// first runs the first of the programs that is there.
func (in *Install) first(ctx context.Context, input string, ways [][]string) (out string, err error) {
	for _, way := range ways {
		if out, err = in.Runner.Run(ctx, input, way[0], way[1:]...); !errors.Is(err, exec.ErrNotFound) {
			return out, err
		}
	}
	return out, err
}

// layStateDir makes the directory of the state, and that below /run, so that
// what the first pass writes as root belongs to the user of the later ones. What
// passes by hand left there before is given to him too.
func (in *Install) layStateDir() error {
	if in.Cron { // the passes run as root, and make what is missing
		return in.makeDir(stateDir, 0o700)
	}
	uid, gid, ok := in.account()
	for _, dir := range []struct {
		path string
		mode fs.FileMode
	}{{stateDir, 0o700}, {runDir, 0o755}} {
		if err := in.makeDir(dir.path, dir.mode); err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := in.give(dir.path, uid, gid); err != nil {
			return fmt.Errorf("give %s to %s: %w", dir.path, user, err)
		}
	}
	return nil
}

// give changes the owner of a directory that is root's, and of the files in it
// first, while nobody else can put others there.
func (in *Install) give(dir string, uid, gid int) error {
	info, err := os.Stat(in.path(dir))
	if err != nil {
		return err
	}
	switch of, ok := info.Sys().(*syscall.Stat_t); {
	case ok && int(of.Uid) == uid:
		return nil
	case ok && of.Uid != 0 && int(of.Uid) != os.Geteuid(): // he may have put anybody's files there
		return fmt.Errorf("it belongs to user %d (move it away, or give it to root with what is to be kept in it)", of.Uid)
	}
	entries, err := os.ReadDir(in.path(dir))
	for _, e := range entries {
		if e.Type().IsRegular() && path.Join(dir, e.Name()) != notePath {
			err = errors.Join(err, os.Lchown(in.path(path.Join(dir, e.Name())), uid, gid))
		}
	}
	return errors.Join(err, os.Lchown(in.path(dir), uid, gid))
}
