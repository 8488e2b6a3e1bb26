package units

import (
	"strings"

	"github.com/spf13/cobra"
)

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
