// Command check_send_receive_time sends a direct message from one Zulip bot to
// another, waits for it as a client would, and deletes it.
//
//	check_send_receive_time --sender-zuliprc FILE --receiver-zuliprc FILE
//	    [--site URL] [-w RANGE] [-c RANGE] [-t SECONDS]
//
// It is CRITICAL when the server cannot be reached or does not serve, when it
// accepts the message and does not deliver it in time, and when the message
// takes more than 12 s (WARNING: 3 s) from sending to receiving. Wrong keys,
// the server's rate limit and unusable options are UNKNOWN.
//
// It needs two ordinary bots of one organization, whose zuliprc files nobody
// but its user can read. See -h for all options.
//
// Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
package main

import (
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/plugins/sendreceivetime"
)

func main() { plugin.Main(sendreceivetime.Definition) }
