package sendreceivetime

import (
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/parity"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

func TestParity(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	s := newStage(t, zulipserver.Options{})
	many := func(k *zulipserver.Knobs) { *k = zulipserver.DefaultKnobs(); k.RateLimit = 100_000 } // both faces look often
	s.Set(many)
	heal := func() { s.Heal(); s.Set(many) }
	right := s.sender.APIKey
	parity.Run(t, parity.Case{
		Definition: Definition,
		Options: map[string][]string{
			"sender-zuliprc":   {bed.WriteFileFor("nobody", "sender.zuliprc", s.Zuliprc(s.sender), 0o400)},
			"receiver-zuliprc": {bed.WriteFileFor("nobody", "receiver.zuliprc", s.Zuliprc(s.receiver), 0o400)},
		},
		Warning: []string{"1"}, Critical: []string{"5"},
		Timeout: 2 * time.Second,
		Steps: []parity.Step{
			{Name: "good", Want: check.OK},
			{Name: "not delivered", Do: func() { s.Set(func(k *zulipserver.Knobs) { k.DropDelivery = true }) }, Want: check.Critical},
			{Name: "mended", Do: heal, Want: check.OK},
			{Name: "Zulip down", Do: func() { s.Fail(zulipserver.Every, zulipserver.Page(502)) }, Want: check.Critical, Reason: check.Unavailable},
			{Name: "limited", Do: func() { heal(); s.Fail(zulipserver.SendMessage, zulipserver.RateLimited(time.Minute)) }, Want: check.Unknown, Reason: check.Permission},
			{Name: "key refused", Do: func() {
				heal()
				edit(s, s.sender, func(u *zulipserver.User) { u.APIKey = strings.Repeat("0", 32) })
			}, Want: check.Unknown, Reason: check.Auth},
			{Name: "good again", Do: func() { edit(s, s.sender, func(u *zulipserver.User) { u.APIKey = right }) }, Want: check.OK},
		},
	})
}

// Several realms and a channel in one look, one of them staging.
func TestParityOfRealms(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	stages := make(map[string]*stage)
	var realms []string
	for _, name := range []string{"prod", "lab"} {
		s := newStage(t, zulipserver.Options{})
		s.Set(func(k *zulipserver.Knobs) { k.RateLimit = 100_000 })
		withChannel(nil)(s)
		stages[name] = s
		realms = append(realms, name+"="+bed.WriteFileFor("nobody", name+".s", s.Zuliprc(s.sender), 0o400)+","+bed.WriteFileFor("nobody", name+".r", s.Zuliprc(s.receiver), 0o400))
	}
	prod, lab := stages["prod"], stages["lab"]
	parity.Run(t, parity.Case{
		Definition: Definition,
		Options:    map[string][]string{"realm": realms, "staging": {"lab"}, "stream": {tower}},
		Warning:    []string{"1", "end_to_end{realm=lab}=1.5"},
		Timeout:    2 * time.Second,
		Steps: []parity.Step{
			{Name: "good", Want: check.OK},
			{Name: "staging down", Do: func() { lab.Fail(zulipserver.Every, zulipserver.Page(502)) }, Want: check.Warning},
			{Name: "both down", Do: func() { prod.Fail(zulipserver.Every, zulipserver.Page(502)) }, Want: check.Critical, Reason: check.Unavailable},
			{Name: "receiver unsubscribed", Do: func() {
				prod.Heal()
				lab.Heal()
				prod.Subscribe(tower, prod.receiver.Email, false) //nolint:errcheck // both are there
			}, Want: check.Unknown, Reason: check.Config},
			{Name: "good again", Do: func() { prod.Subscribe(tower, prod.receiver.Email, true) }, Want: check.OK}, //nolint:errcheck // likewise
		},
	})
}
