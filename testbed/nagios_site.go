package testbed

// NagiosSite are objects that every Nagios has of its own, for NagiosOptions.Objects: the time period 24x7, the contact
// operator, who is told nothing, the command nobody-is-told, and generic-service, on which Belfry's templates stand.
const NagiosSite = `define timeperiod {
  timeperiod_name  24x7
  alias            always
  sunday           00:00-24:00
  monday           00:00-24:00
  tuesday          00:00-24:00
  wednesday        00:00-24:00
  thursday         00:00-24:00
  friday           00:00-24:00
  saturday         00:00-24:00
}
define command {
  command_name  nobody-is-told
  command_line  /bin/true
}
define contact {
  contact_name                   operator
  host_notification_period       24x7
  service_notification_period    24x7
  host_notification_options      n
  service_notification_options   n
  host_notification_commands     nobody-is-told
  service_notification_commands  nobody-is-told
}
define service {
  name                 generic-service
  register             0
  check_period         24x7
  notification_period  24x7
  contacts             operator
}
`
