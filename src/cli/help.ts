/** What `--help` prints, by command; the empty name is the program itself. */
export const help: Readonly<Record<string, string>> = {
  '': `bailiwick: an identity-aware query gateway for Linkerd's Prometheus

Usage: bailiwick <command> [options]

Commands:
  serve          run the gateway
  check-config   check a configuration and its policy, and say what is wrong

Options:
  --help         what a command does and takes; also: bailiwick <command> --help
  --version      the version

Exit codes: 0 done, 1 it failed (the reason is on standard error), 2 the command was not understood.
`,
  serve: `Usage: bailiwick serve [--config FILE]

Runs the gateway until SIGINT or SIGTERM, then finishes the requests in flight and seals the audit log.
A second signal ends it at once.

Options:
  --config FILE   the configuration (default: bailiwick.yaml); see docs/configuration.md
`,
  'check-config': `Usage: bailiwick check-config [--config FILE]

Reads the configuration and the policy as "serve" would, without opening a port or asking anybody. Prints what is
in force, or every problem with its key and remedy (exit code 1).

Options:
  --config FILE   the configuration (default: bailiwick.yaml); see docs/configuration.md
`,
}
