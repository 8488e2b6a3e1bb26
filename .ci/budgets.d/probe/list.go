package main

import (
	"context"
	"errors"

	"scan2ban/ban/list"
	"scan2ban/ban/nftables"
)

func load(path string) error {
	o := list.Default("drop")
	o.File = path
	_, share, news := o.Look(list.Known{}, list.Out(nil), 0)
	if err := errors.Join(news...); err != nil {
		return err
	}
	r, err := nftables.Options{}.Sync(context.Background(), []nftables.Group{{Name: o.Group(), Reach: o.Reach, List: share}}, nil, nil)
	if err == nil {
		err = r.Failed[o.Group()]
	}
	return err
}
