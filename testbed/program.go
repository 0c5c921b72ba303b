package testbed

// Program starts a program in a private directory, as the account when we are root, and waits until ready, one try to use it,
// succeeds. It ends with the bed.
func (b *Bed) Program(account, name string, argv []string, ready func() error) *Server {
	b.t.Helper()
	s := b.serverOf(account, name)
	s.argv, s.env, s.ready = argv, b.environ(s.Dir), ready
	s.Start()
	return s
}
