package workers

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const manage = "/srv/zulip-venv/bin/python3.11 /home/zulip/deployments/current/manage.py process_queue "
	for _, tt := range []struct{ command, label, queues string }{
		{manage + "--queue_name=email_senders --skip-checks", "email_senders", "email_senders"},
		{manage + "--queue_name=email_senders --worker_num 2 --skip-checks", "email_senders_worker2", "email_senders"},
		{manage + "--queue_name email_senders --worker_num=2", "email_senders_worker2", "email_senders"},
		{manage + "--queue_name=user_activity --worker_num 1", "user_activity_shard1", "user_activity_shard1"},
		{manage + "--queue_name=missedmessage_mobile_notifications --worker_num 3", "missedmessage_mobile_notifications_shard3", "missedmessage_mobile_notifications_shard3"},
		{manage + "--multi_threaded deferred_work email_senders --skip-checks", Threads, "deferred_work email_senders"},
		{manage + "--all", Threads, ""},
		{"manage.py process_queue --queue_name=x", "x", "x"},
		{manage + "--queue_name", "", ""},
		{manage + "--queue_name=", "", ""},
		{"vim manage.py process_queue --queue_name=x", "", ""},
		{"python3 manage.py runtornado 127.0.0.1:9800", "", ""},
		{"", "", ""},
	} {
		w, ok := Parse(strings.Fields(tt.command))
		if ok != (tt.label != "") || w.Label != tt.label || strings.Join(w.Queues, " ") != tt.queues {
			t.Errorf("Parse(%q) = %+v, %t; want label %q and queues %q", tt.command, w, ok, tt.label, tt.queues)
		}
	}
}
