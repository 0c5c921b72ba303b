package main

import (
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// chatting is what happens to Zulip.
func chatting() []situation {
	return []situation{
		{
			name: "upgrade of Zulip", what: "the maintenance page (502) is shown, then another version answers at the same address",
			do: func(d *day) { d.zulip.Fail(zulipserver.Every, zulipserver.Page(502)) },
			undo: func(d *day) {
				listen := strings.TrimPrefix(d.zulip.URL(), "https://")
				d.must(d.zulip.Close())
				time.Sleep(2 * time.Second)
				d.must(d.startZulip(listen, "12.0", 470))
			},
			want: []want{critical(zulip, "502")}, passing: []want{critical(zulip, "refused|EOF|reset")}, fast: true,
		},
		{
			name: "Tornado restarted", what: "event queues are forgotten, and events answer 502 for a moment",
			do: func(d *day) {
				d.zulip.Fail(zulipserver.GetEvents, zulipserver.LostQueue().Times(1))
				time.Sleep(3 * time.Second)
				d.zulip.Fail(zulipserver.GetEvents, zulipserver.Page(502).Times(2))
			},
			undo: func(d *day) { d.zulip.Heal() },
		},
		{
			name: "messages not delivered", what: "messages are accepted, and nobody is told of them",
			do:   func(d *day) { d.zulip.Set(func(k *zulipserver.Knobs) { k.DropDelivery = true }) },
			undo: func(d *day) { d.zulip.Set(func(k *zulipserver.Knobs) { k.DropDelivery = false }) },
			want: []want{critical(zulip, "accepted in .*, but not delivered")},
		},
		{
			name: "Zulip hangs", what: "requests are taken and not answered",
			do: func(d *day) { d.zulip.Fail(zulipserver.Every, zulipserver.Hang()) }, undo: func(d *day) { d.zulip.Heal() },
			want: []want{critical(zulip, "timed out")},
		},
		{
			name: "key of a bot rotated", what: "the sender's key is changed; later its zuliprc",
			do: func(d *day) {
				const key = "0123456789abcdef0123456789abcdef"
				d.must(d.zulip.EditUser(d.bots[0].Email, func(u *zulipserver.User) { u.APIKey = key }))
				d.bots[0].APIKey = key
			},
			undo: func(d *day) { d.rewrite("sender.zuliprc", d.zulip.Zuliprc(d.bots[0])) },
			want: []want{unknown(zulip, "key")},
		},
		{
			name: "certificate expired", what: "Zulip shows a certificate that ended yesterday; it is renewed",
			do: func(d *day) { d.cert.Store(&d.certs.Expired.TLS) }, undo: func(d *day) { d.cert.Store(&d.certs.OK.TLS) },
			want: []want{critical(zulip, "certificate is not valid now: it ended")},
		},
		{
			name: "certificate exchanged", what: "Zulip shows a certificate of another authority; then the right one",
			do: func(d *day) { d.cert.Store(&d.certs.UnknownIssuer.TLS) }, undo: func(d *day) { d.cert.Store(&d.certs.OK.TLS) },
			want: []want{critical(zulip, "unknown authority")},
		},
	}
}
