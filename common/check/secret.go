package check

// Secret is a password, key or token. It prints as *** wherever a value can
// be printed; only Reveal gives it away, at the place where it is sent.
//
// The value lies behind a pointer because fmt does not call methods on
// unexported fields: %+v of a struct that holds a Secret shows an address.
type Secret struct{ value *string }

// NewSecret wraps a secret value.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns the value itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is no secret.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// String never shows the value; an empty secret shows as nothing.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return "***"
}

// GoString keeps %#v from showing the value.
func (s Secret) GoString() string { return `check.Secret("` + s.String() + `")` }

// MarshalText keeps JSON, YAML and log/slog from showing the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Set and Type make *Secret a pflag.Value.
func (s *Secret) Set(value string) error { s.value = &value; return nil }

// Type is the placeholder in usage texts.
func (s *Secret) Type() string { return "secret" }
