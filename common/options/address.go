package options

import "github.com/spf13/pflag"

// addressKey marks options that say where the thing looked at is.
const addressKey = "belfry_address"

// AddressForm is what the value of an option looks like that says where the
// thing looked at is, and that a face may therefore let its asker choose.
type AddressForm string

// The forms of addresses. What else such an option may take (the directory of
// a socket, a connection string, several servers) is the operator's alone.
const (
	NoAddress AddressForm = ""
	Host      AddressForm = "host"      // db1.example.org, 10.0.0.5, fd00::5
	HostPort  AddressForm = "host:port" // the same, with or without a port
	Site      AddressForm = "site"      // host:port with or without https:// before it
)

// Address marks the flag as the address of what is looked at. Credentials go
// there: never mark one that names a file, a user or a way around TLS.
func Address(fs *pflag.FlagSet, flag string, form AddressForm) {
	annotate(fs, flag, addressKey, string(form))
}

// AddressFormOf returns the form of the flag's address, NoAddress where the
// flag is none.
func AddressFormOf(f *pflag.Flag) AddressForm {
	for _, form := range f.Annotations[addressKey] {
		return AddressForm(form)
	}
	return NoAddress
}

// SameThing reports whether both flags are spellings of one thing, of which
// one may be given (Exclusive).
func SameThing(a, b *pflag.Flag) bool {
	if a == b {
		return true
	}
	for _, group := range a.Annotations[groupKey] {
		for _, other := range b.Annotations[groupKey] {
			if group == other {
				return true
			}
		}
	}
	return false
}
