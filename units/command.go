package units

import (
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
			if err := args(c, list); err != nil {
				return wrong(fmt.Errorf("%w (see \"%s --help\")", err, c.CommandPath()))
			}
			return nil
		}
	}
	return c
}

// Complete lets the shell complete names of jails, for [JAIL] and --jail, and of
// filters, for FILTER.
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
	default:
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	if c.Flags().Lookup("jail") != nil {
		_ = c.RegisterFlagCompletionFunc("jail", names) // fails only where it is registered twice
	}
}
