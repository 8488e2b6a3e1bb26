package units

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Describe gives a command its embedded help, and lets wrong mark the error of wrong
// arguments, which says where to read on.
func Describe(c *cobra.Command, wrong func(error) error) *cobra.Command {
	c.Long, c.Example = Help(c.Name())
	if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, list []string) error {
			err := args(c, list)
			if err != nil && c.HasParent() { // cobra's words count arguments and name none
				err = errors.New("usage: " + c.UseLine())
			}
			if err != nil {
				err = wrong(fmt.Errorf("%w (see \"%s --help\")", err, c.CommandPath()))
			}
			return err
		}
	}
	return c
}

// choices are the values of flags that take one of a few.
var choices = [...][2]string{{"form", "plain nft csv json"}, {"mode", "normal ddos extra aggressive"}, {"test", "mail hook"}}

// Complete lets the shell complete names of jails, for [JAIL] and --jail, of filters, for
// FILTER, and the choices.
func Complete(c *cobra.Command, jails, filters func() []string) {
	names := func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return jails(), cobra.ShellCompDirectiveNoFileComp
	}
	switch {
	case strings.Contains(c.Use, " [FILTER]"):
		c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return filters(), cobra.ShellCompDirectiveNoFileComp
		}
	case strings.Contains(c.Use, " FILTER"): // a file may follow
		c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return filters(), cobra.ShellCompDirectiveNoFileComp
		}
	case strings.Contains(c.Use, " [JAIL]"):
		c.ValidArgsFunction = names
	case strings.HasSuffix(c.Use, "[DIR]"): // files, as the shell does by itself
	default:
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	_ = c.RegisterFlagCompletionFunc("jail", names) // fails only where there is no such flag
	for _, flag := range choices {
		_ = c.RegisterFlagCompletionFunc(flag[0], func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return strings.Fields(flag[1]), cobra.ShellCompDirectiveNoFileComp
		})
	}
}
