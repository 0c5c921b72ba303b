package zulipserver

import (
	"slices"
	"strconv"
)

// getMessages is GET /api/v1/messages.
func (s *Server) getMessages(c *call) (reply, error) {
	var before, after int64
	markdown := true
	var terms []any
	for _, arg := range []struct {
		name   string
		into   any
		needed bool
	}{
		{"num_before", &before, true}, {"num_after", &after, true}, {"narrow", &terms, false}, {"apply_markdown", &markdown, false},
		{"client_gravatar", new(bool), false}, {"include_anchor", new(bool), false},
	} {
		present, err := c.params.json(arg.name, arg.into)
		if err != nil {
			return nil, err
		}
		if !present && arg.needed {
			return nil, missingArgument(arg.name)
		}
	}
	if before < 0 || after < 0 {
		return nil, badRequest("num_before and num_after must not be negative")
	}
	if before+after > 5000 {
		return nil, badRequest("Too many messages requested (maximum 5000).")
	}
	anchorText, ok := c.params.text("anchor")
	if !ok {
		return nil, badRequest("Missing 'anchor' argument.")
	}
	n, err := parseNarrow(terms)
	if err != nil {
		return nil, err
	}
	if err := n.check(); err != nil {
		return nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	// A search in a channel finds what was written there; any other, what the
	// user received.
	inChannel := slices.ContainsFunc(n, func(t term) bool { return !t.negated && (t.operator == "stream" || t.operator == "channel") })
	var seen []*message
	for _, m := range s.messages {
		if (slices.Contains(m.users, c.user) || inChannel && c.user.sees(m)) && n.fits(m) {
			seen = append(seen, m)
		}
	}
	const newest = 10_000_000_000_000_000
	var anchor int64
	switch anchorText {
	case "newest", "first_unread":
		anchor = newest
	case "oldest":
	default:
		if anchor, err = strconv.ParseInt(anchorText, 10, 64); err != nil {
			return nil, badRequest("Invalid anchor")
		}
	}
	at := slices.IndexFunc(seen, func(m *message) bool { return m.id >= anchor })
	if at < 0 {
		at = len(seen)
	}
	found := at < len(seen) && seen[at].id == anchor
	from := max(0, at-int(before))
	to := at + int(after)
	if found {
		to++
	}
	to = min(to, len(seen))
	messages := []map[string]any{}
	for _, m := range seen[from:to] {
		shown := m.shown(markdown, s.opts.OldFormats)
		shown["flags"] = flags(m, c.user)
		messages = append(messages, shown)
	}
	return reply{
		"messages": messages, "anchor": anchor, "found_anchor": found,
		"found_newest": to == len(seen), "found_oldest": from == 0, "history_limited": false,
	}, nil
}

// flags of a message for one of its users.
func flags(m *message, u *User) []string {
	if m.sender == u {
		return []string{"read"}
	}
	return []string{}
}

// subscriptions is GET /api/v1/users/me/subscriptions.
func (s *Server) subscriptions(c *call) (reply, error) {
	c.params.text("include_subscribers")
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []any{}
	for _, st := range s.streams {
		if slices.Contains(st.subscribers, c.user) && !st.channel.Archived {
			list = append(list, map[string]any{
				"stream_id": st.id, "name": st.name, "description": "", "rendered_description": "", "invite_only": st.channel.Private,
				"is_web_public": false, "color": "#76ce90", "is_muted": false, "in_home_view": true, "pin_to_top": false,
			})
		}
	}
	return reply{"subscriptions": list}, nil
}

// ownUser is GET /api/v1/users/me.
func (s *Server) ownUser(c *call) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := c.user
	role := 400
	if u.Admin {
		role = 200
	}
	var kind any
	if u.Bot {
		kind = 1
	}
	return reply{
		"user_id": u.ID, "email": u.Email, "delivery_email": u.Email, "full_name": u.FullName, "is_bot": u.Bot, "bot_type": kind,
		"is_admin": u.Admin, "is_owner": false, "is_guest": false, "is_active": true, "role": role, "timezone": "", "avatar_url": nil,
		"avatar_version": 1, "date_joined": "2019-10-20T07:50:53.728864+00:00", "profile_data": map[string]any{}, "max_message_id": s.lastMsg,
	}, nil
}

// serverSettings is GET /api/v1/server_settings. The root domain of a server of
// several organizations has no realm_* fields, and without a landing page it
// wants a subdomain.
func (s *Server) serverSettings(c *call) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.realm == nil && !s.knobs.LandingPage {
		return nil, badRequest("Subdomain required")
	}
	methods := map[string]any{"password": true, "dev": false, "email": true, "ldap": false, "remoteuser": false, "github": false, "azuread": false,
		"gitlab": false, "google": false, "apple": false, "saml": false, "openid connect": false}
	out := reply{
		"authentication_methods": methods, "external_authentication_methods": []any{}, "email_auth_enabled": true,
		"require_email_format_usernames": true, "push_notifications_enabled": s.knobs.PushNotifications, "is_incompatible": false,
		"zulip_version": s.opts.Version,
	}
	if !s.opts.OldFormats {
		out["zulip_merge_base"], out["zulip_feature_level"] = s.opts.Version, s.opts.FeatureLevel
	}
	if c.realm != nil {
		url := s.url
		if s.opts.Domain != "" {
			url = "https://" + c.r.Host
		}
		out["realm_uri"], out["realm_name"], out["realm_description"] = url, c.realm.Name, "<p>A stand-in.</p>"
		out["realm_icon"], out["realm_web_public_access_enabled"] = "/user_avatars/1/realm/icon.png", false
		if !s.opts.OldFormats {
			out["realm_url"] = url
		}
	}
	return out, nil
}

// health is GET /health, which nginx gives to trusted addresses only.
func (s *Server) health(c *call) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.knobs.HealthUntrusted {
		return nil, htmlPage(403)
	}
	if msg := s.knobs.NotReady; msg != "" {
		return nil, notReady(msg)
	}
	return reply{}, nil
}
