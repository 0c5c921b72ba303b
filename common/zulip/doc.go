// Package zulip talks to the REST API of a Zulip server as one of its bots:
// zuliprc files, event queues, messages, and the errors of the API as faults.
// It holds no verdicts.
package zulip
