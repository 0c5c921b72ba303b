// Package options fills the flags of a check from the places where an
// operator may put them: the command line, --extra-opts files, the
// environment and YAML. The first source that sets a flag wins; a later one
// fills only what is unset. The product's own files come last and are the
// check's to read.
package options

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

const (
	envKey    = "belfry_env"    // environment variables of a flag
	fromKey   = "belfry_from"   // the environment variable that has set it
	groupKey  = "belfry_group"  // flags of which one may be set by one source only
	secretKey = "belfry_secret" // value must not stand on a command line
	urlKey    = "belfry_url"    // likewise where it holds a password
)

// Env lets environment variables set the flag of a plugin, the first that is
// there. The exporter does not read them: one process's PGPASSWORD must not
// reach every target.
func Env(fs *pflag.FlagSet, flag string, variables ...string) {
	annotate(fs, flag, envKey, variables...)
}

// Exclusive makes flags spellings of one thing: where a source has set one of
// them, later sources set none.
func Exclusive(fs *pflag.FlagSet, flags ...string) {
	for _, f := range flags {
		annotate(fs, f, groupKey, flags[0])
	}
}

func annotate(fs *pflag.FlagSet, flag, key string, values ...string) {
	if err := fs.SetAnnotation(flag, key, values); err != nil {
		panic("options: " + err.Error()) // a flag that the same function has not declared
	}
}

// Variables returns the environment variables of a flag.
func Variables(f *pflag.Flag) []string { return f.Annotations[envKey] }

// FromEnvironment reports whether an environment variable has set the flag, for
// products whose own files beat their environment.
func FromEnvironment(fs *pflag.FlagSet, flag string) bool {
	f := fs.Lookup(flag)
	return f != nil && len(f.Annotations[fromKey]) > 0
}

// IsSecret reports whether the flag holds a secret and so must come from a
// file, the environment or a configuration file, never from the command line.
func IsSecret(f *pflag.Flag) bool { return len(f.Annotations[secretKey]) > 0 }

// MayHoldPassword marks a flag whose value is a URL that may hold a user and a
// password; on a command line they must be given by the other options that are
// named.
func MayHoldPassword(fs *pflag.FlagSet, flag, instead string) { annotate(fs, flag, urlKey, instead) }

// HoldsSecret reports whether this value of the flag is or holds a secret.
func HoldsSecret(f *pflag.Flag, value string) bool {
	return IsSecret(f) || len(f.Annotations[urlKey]) > 0 && strings.Contains(value, "@")
}

// Instead says what a command line has in place of a flag whose value is or
// holds a secret; empty where nothing is declared for that.
func Instead(f *pflag.Flag) string {
	switch {
	case IsSecret(f):
		return "--" + f.Name + "-file FILE" + orEnv(f)
	case len(f.Annotations[urlKey]) > 0:
		return f.Annotations[urlKey][0]
	}
	return ""
}

// Secret is an option that holds a password, key or token: --name from
// extra-opts, environment or YAML, --name-file from anywhere.
type Secret struct {
	name  string
	value check.Secret
	file  string
	lax   *bool
}

// SecretFlags declares --name and --name-file, and --insecure-permissions
// where it is not there yet. The environment variables set --name.
func SecretFlags(fs *pflag.FlagSet, name, usage string, variables ...string) *Secret {
	s := &Secret{name: name, lax: InsecurePermissions(fs)}
	fs.Var(&s.value, name, usage+" (refused on the command line, where every local user can read it: use --"+name+"-file)")
	fs.StringVar(&s.file, name+"-file", "", "file that holds the "+name+", its first line; read anew at each look")
	annotate(fs, name, secretKey, "true")
	if len(variables) > 0 {
		Env(fs, name, variables...)
	}
	Exclusive(fs, name, name+"-file")
	return s
}

// InsecurePermissions declares --insecure-permissions once and returns its
// value: secrets files that others can read or write are refused without it.
func InsecurePermissions(fs *pflag.FlagSet) *bool {
	const name = "insecure-permissions"
	if f := fs.Lookup(name); f != nil {
		return f.Value.(*boolValue).b
	}
	v := &boolValue{b: new(bool)}
	fs.Var(v, name, "accept files with secrets that others can read or write")
	fs.Lookup(name).NoOptDefVal = "true"
	return v.b
}

// boolValue is a bool flag whose variable can be shared by later declarers.
type boolValue struct{ b *bool }

func (v *boolValue) String() string {
	if v.b == nil || !*v.b {
		return "false"
	}
	return "true"
}
func (v *boolValue) Type() string { return "bool" }
func (v *boolValue) Set(text string) error {
	switch text {
	case "true", "1":
		*v.b = true
	case "false", "0":
		*v.b = false
	default:
		return errors.New("neither true nor false")
	}
	return nil
}

// IsBoolFlag lets --insecure-permissions stand without a value.
func (v *boolValue) IsBoolFlag() bool { return true }

// Given reports whether a value or a file was set.
func (s *Secret) Given() bool { return s.file != "" || !s.value.Empty() }

// Lax reports whether --insecure-permissions was given.
func (s *Secret) Lax() bool { return *s.lax }

// Read returns the secret: the file's first line, read anew so that a rotated
// password is seen at the next look, or the value. An empty secret and no
// error means that none was given.
func (s *Secret) Read() (check.Secret, error) {
	if s.file == "" {
		return s.value, nil
	}
	data, err := safefile.ReadSecret(s.file, *s.lax)
	if err != nil {
		return check.Secret{}, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return check.Secret{}, check.Faultf(check.Config, "read the "+s.name+" from", s.file, "its first line is empty")
	}
	return check.NewSecret(line), nil
}

// filler sets flags that no earlier source has set.
type filler struct {
	fs    *pflag.FlagSet
	taken map[*pflag.Flag]bool // set by earlier sources
	set   map[string]bool      // groups set by earlier sources
}

func newFiller(fs *pflag.FlagSet) *filler {
	f := &filler{fs: fs, taken: make(map[*pflag.Flag]bool), set: make(map[string]bool)}
	fs.Visit(func(flag *pflag.Flag) {
		f.taken[flag] = true
		for _, g := range flag.Annotations[groupKey] {
			f.set[g] = true
		}
	})
	return f
}

// fill sets one flag to a value unless an earlier source has. An empty value
// means not given.
func (f *filler) fill(name, value string) error {
	flag, err := f.flag(name)
	if err != nil || f.taken[flag] || value == "" {
		return err
	}
	for _, g := range flag.Annotations[groupKey] {
		if f.set[g] {
			return nil
		}
	}
	if err := f.fs.Set(flag.Name, value); err != nil {
		if HoldsSecret(flag, value) {
			return fmt.Errorf("option %s cannot be set", name)
		}
		return fmt.Errorf("option %s: %q: %w", name, value, unwrapSet(err))
	}
	return nil
}

// fillSwitch sets a flag that stands without a value.
func (f *filler) fillSwitch(name string) error {
	flag, err := f.flag(name)
	if err != nil {
		return err
	}
	if flag.NoOptDefVal == "" {
		return fmt.Errorf("option %s needs a value", name)
	}
	return f.fill(name, flag.NoOptDefVal)
}

// flag finds an option by its name, or by its letter.
func (f *filler) flag(name string) (*pflag.Flag, error) {
	flag := f.fs.Lookup(name)
	if flag == nil && len(name) == 1 {
		flag = f.fs.ShorthandLookup(name)
	}
	if flag == nil {
		return nil, fmt.Errorf("no option %q", name)
	}
	return flag, nil
}

// unwrapSet drops pflag's own words around a value's error.
func unwrapSet(err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return invalid.Unwrap()
	}
	return err
}

// FromArgs parses a command line. An empty value means not given, because
// Nagios passes an empty macro where a variable is empty, and the macro's own
// name where it is not defined. Secrets and positional arguments are refused.
func FromArgs(fs *pflag.FlagSet, args []string) error {
	var exposed *pflag.Flag
	err := fs.ParseAll(args, func(f *pflag.Flag, value string) error {
		if value == "" || isMacro(value) {
			return nil
		}
		if !IsSecret(f) && HoldsSecret(f, value) {
			exposed = f
		}
		return fs.Set(f.Name, value)
	})
	if err != nil {
		return withoutValue(err)
	}
	if exposed != nil {
		return fmt.Errorf("a password in --%s on the command line can be read by every local user: use %s%s", exposed.Name, exposed.Annotations[urlKey][0], orEnv(exposed))
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: options start with -", fs.Arg(0))
	}
	fs.Visit(func(f *pflag.Flag) {
		if IsSecret(f) && err == nil {
			err = fmt.Errorf("--%s on the command line can be read by every local user: use --%s-file FILE%s", f.Name, f.Name, orEnv(f))
		}
	})
	return err
}

// withoutValue keeps the parser's error from quoting what may be a password:
// "-asecret" where there is no -a, "-psecret" where -p is a port.
func withoutValue(err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return fmt.Errorf("unknown option -%s", unknown.GetSpecifiedName())
	case errors.As(err, &invalid):
		var number *strconv.NumError
		if errors.As(err, &number) {
			return fmt.Errorf("option --%s: not a number of its kind (%s): %w", invalid.GetFlag().Name, invalid.GetFlag().Value.Type(), number.Err)
		}
	}
	return err
}

// isMacro reports the name of a custom variable that Nagios did not find:
// $_SERVICEWARNING$.
func isMacro(value string) bool {
	name, ok := strings.CutPrefix(value, "$_")
	if !ok || !strings.HasSuffix(name, "$") {
		return false
	}
	return strings.HasPrefix(name, "SERVICE") || strings.HasPrefix(name, "HOST") || strings.HasPrefix(name, "CONTACT")
}

func orEnv(f *pflag.Flag) string {
	if v := Variables(f); len(v) > 0 {
		return " or the environment variable " + v[0]
	}
	return ""
}

// FromEnv fills flags from environment variables; an empty variable counts as
// not there.
func FromEnv(fs *pflag.FlagSet, lookup func(string) (string, bool)) error {
	f := newFiller(fs)
	var errs []error
	fs.VisitAll(func(flag *pflag.Flag) {
		for _, variable := range Variables(flag) {
			if value, ok := lookup(variable); ok && value != "" {
				changed := flag.Changed
				if err := f.fill(flag.Name, value); err != nil {
					errs = append(errs, fmt.Errorf("environment variable %s: %w", variable, err))
				}
				if flag.Changed && !changed {
					annotate(fs, flag.Name, fromKey, variable)
				}
				return
			}
		}
	})
	return errors.Join(errs...)
}

// Value is an option of a configuration file: a list sets the flag once for
// each item.
type Value struct {
	Name  string
	Items []string
}

// FromValues fills flags from a configuration file's options.
func FromValues(fs *pflag.FlagSet, values []Value) error {
	f := newFiller(fs)
	var errs []error
	for _, v := range values {
		for _, item := range v.Items {
			if err := f.fill(v.Name, item); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
