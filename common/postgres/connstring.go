package postgres

import (
	"errors"
	"net/url"
	"strings"
)

// isConnString tells a connection string from a server's name.
func isConnString(text string) bool {
	return strings.Contains(text, "://") || strings.Contains(text, "=")
}

// parseConnString reads a connection string as libpq does (PostgreSQL
// documentation, 34.1.1): a URI, with several hosts where there are several, or
// keywords and values. The result has libpq's keywords; of several hosts, host
// and port are lists of the same length. Errors repeat nothing of the string,
// because it may hold a password.
//
// It is not the driver's own parser, which adds what the environment of this
// process and files of its home directory say.
func parseConnString(text string) (map[string]string, error) {
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, "\x00\n\r") {
		return nil, errors.New("connection string: it has several lines")
	}
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(text, scheme); ok {
			return parseURI(rest)
		}
	}
	if strings.Contains(text, "://") && !strings.Contains(strings.SplitN(text, "://", 2)[0], "=") {
		return nil, errors.New("connection string: a URI begins with postgresql:// or postgres://")
	}
	return parseKeywords(text)
}

// errURI is all that may be said of a URI that cannot be read.
var errURI = errors.New("connection string: write postgresql://user@host:port,host:port/dbname?keyword=value, with %XX for special characters")

func parseURI(rest string) (map[string]string, error) {
	settings := make(map[string]string)
	set := func(keyword, escaped string) error {
		value, err := url.PathUnescape(escaped)
		if err != nil || strings.Contains(value, "\x00") {
			return errURI
		}
		if value != "" {
			settings[keyword] = value
		}
		return nil
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, password, _ := strings.Cut(authority[:at], ":")
		if err := errors.Join(set("user", user), set("password", password)); err != nil {
			return nil, errURI
		}
		authority = authority[at+1:]
	}
	var hosts, ports []string
	for _, one := range strings.Split(authority, ",") {
		host, port := one, ""
		if end := strings.IndexByte(one, ']'); strings.HasPrefix(one, "[") && end > 0 {
			host = one[1:end]
			after, colon := strings.CutPrefix(one[end+1:], ":")
			if !colon && after != "" {
				return nil, errURI
			}
			port = after
		} else {
			host, port, _ = strings.Cut(one, ":")
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	port := strings.Join(ports, ",")
	if strings.Trim(port, ",") == "" {
		port = ""
	}
	if err := errors.Join(set("host", strings.Join(hosts, ",")), set("port", port), set("dbname", path)); err != nil {
		return nil, errURI
	}
	if query == "" {
		return settings, nil
	}
	for _, pair := range strings.Split(query, "&") {
		keyword, value, ok := strings.Cut(pair, "=")
		if !ok || keyword == "" {
			return nil, errURI
		}
		// JDBC's word, which libpq takes too.
		if keyword == "ssl" && value == "true" {
			keyword, value = "sslmode", sslRequire
		}
		if err := set(keyword, value); err != nil {
			return nil, err
		}
	}
	return checkKeywords(settings)
}

// errKeywords is all that may be said of keywords that cannot be read.
var errKeywords = errors.New("connection string: write host=... port=... user=..., with quotes around values that hold blanks: 'a b'")

func parseKeywords(text string) (map[string]string, error) {
	settings := make(map[string]string)
	for text != "" {
		keyword, rest, ok := strings.Cut(text, "=")
		keyword, rest = strings.TrimSpace(keyword), strings.TrimLeft(rest, " \t")
		if !ok || keyword == "" || strings.ContainsAny(keyword, " \t'\\") {
			return nil, errKeywords
		}
		value, after, ok := cutValue(rest)
		if !ok {
			return nil, errKeywords
		}
		if value != "" {
			settings[keyword] = value
		}
		text = strings.TrimLeft(after, " \t")
	}
	return checkKeywords(settings)
}

// cutValue reads a value up to a blank, or in quotes up to the closing one;
// a backslash takes the next byte as it is.
func cutValue(text string) (value, rest string, ok bool) {
	text, quoted := strings.CutPrefix(text, "'")
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case quoted && c == '\'':
			return b.String(), text[i+1:], true
		case !quoted && (c == ' ' || c == '\t'):
			return b.String(), text[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}

// checkKeywords returns the settings, and refuses what libpq does not know, and what asks for more safety
// than there would be.
func checkKeywords(settings map[string]string) (map[string]string, error) {
	for keyword, value := range settings {
		switch keyword {
		case "host", "hostaddr", "port", "user", "password", "dbname", "passfile", "service", "sslmode", "sslcert", "sslkey", "sslrootcert":
		case "channel_binding", "gssencmode":
			if value == "require" {
				return nil, errors.New("connection string: " + keyword + "=require is not supported")
			}
		case "require_auth", "sslcrl", "sslcrldir", "sslpassword", "requirepeer":
			return nil, errors.New("connection string: " + keyword + " is not supported")
		case "target_session_attrs", "load_balance_hosts", // every host is looked at
			"application_name", "fallback_application_name", "connect_timeout", "client_encoding", "options",
			"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
			"sslnegotiation", "sslcompression", "sslcertmode", "sslsni", "ssl_min_protocol_version", "ssl_max_protocol_version",
			"min_protocol_version", "max_protocol_version", "gsslib", "gssdelegation", "krbsrvname", "replication":
		default:
			return nil, errors.New("connection string: there is a keyword that libpq does not know")
		}
	}
	return settings, nil
}
