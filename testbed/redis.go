package testbed

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// RedisOptions change what Bed.Redis starts; the zero value is a server without a password.
type RedisOptions struct {
	Name     string   // default "redis"
	Password string   // asked for by everybody; empty: none
	Config   []string // further lines of redis.conf
}

// Redis is a running Redis server that keeps nothing on disk.
type Redis struct {
	*Server
	Host string // 127.0.0.1
	Port int
}

const redisAccount = "redis"

// Redis starts Debian's redis-server and waits until it answers.
func (b *Bed) Redis(options RedisOptions) *Redis {
	b.t.Helper()
	if options.Name == "" {
		options.Name = "redis"
	}
	r := &Redis{Server: b.serverOf(redisAccount, options.Name), Host: "127.0.0.1", Port: b.Port()}
	lines := []string{"bind " + r.Host, "port " + strconv.Itoa(r.Port), "daemonize no", `save ""`, "appendonly no", "dir " + b.MkdirFor(redisAccount, filepath.Join(options.Name, "redisdata"), 0o755)} // the reaper knows that name
	if options.Password != "" {
		lines = append(lines, "requirepass "+options.Password)
	}
	lines = append(lines, options.Config...)
	config := b.WriteFileFor(redisAccount, filepath.Join(r.Dir, "redis.conf"), strings.Join(lines, "\n")+"\n", 0o600)
	r.argv = []string{"/usr/bin/redis-server", config}
	r.env = b.environ(r.Dir)
	r.ready = func() error {
		reply, err := firstLine(r.Addr(), "PING\r\n")
		if err == nil && !strings.HasPrefix(reply, "+PONG") && !strings.HasPrefix(reply, "-NOAUTH") {
			err = fmt.Errorf("it answers PING with %q", reply)
		}
		return err
	}
	r.Start()
	return r
}

// Addr is where clients connect, as host:port.
func (r *Redis) Addr() string { return net.JoinHostPort(r.Host, strconv.Itoa(r.Port)) }

// firstLine sends a text to a server and returns the first line of its reply.
func firstLine(address, text string) (string, error) {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}
