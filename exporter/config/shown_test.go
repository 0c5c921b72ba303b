package config

import (
	"fmt"
	"testing"
)

// What a page shows of the options holds no secret, wherever it stands.
func TestLooksSecret(t *testing.T) {
	for value, want := range map[string]bool{
		"db1": false, "10.0.0.5:5432": false, "/etc/belfry/password": false, "http://proxy:3128": false, "https://zulip.example/api?x=1@2": false,
		"me@example.com": false, "host=db user=monitor": false, "": false, "passwordless": false,
		"http://me:pw@proxy": true, "postgresql://me@db": true, "amqp://me:p%40w@mq/vhost": true, "host=db password=pw": true, "PASSWORD = 'x'": true, "sslpassword=x": true,
		"token=abc": true, "https://h/?api_key=abc": true,
	} {
		if got := looksSecret(value); got != want {
			t.Errorf("looksSecret(%q) = %v; want %v", value, got, want)
		}
	}
}

func TestOptionsAreShownWithoutSecrets(t *testing.T) {
	for _, tt := range []struct{ options, want string }{
		{"{port: 1}", "[{port [1] false }]"},
		{"{p: 1, H: [a, b]}", "[{host [a b] false } {port [1] false }]"},
		{"{password: hunter2}", "[{password [***] true --password-file FILE or the environment variable FAKE_PASSWORD}]"},
		{"{password-file: /etc/pw}", "[{password-file [/etc/pw] false }]"},
		{"{host: [a, 'postgresql://u:hunter2@b']}", "[{host [*** ***] true }]"},
	} {
		c, err := parse("checks: [{check: fake_queue, target: t, options: " + tt.options + "}]")
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(c.Checks[0].Options()); got != tt.want {
			t.Errorf("Options() of %s = %s; want %s", tt.options, got, tt.want)
		}
	}
}
