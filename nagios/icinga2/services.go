package icinga2

import (
	"fmt"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// attributes are keys of a check's dictionary that are no options of it: the
// service's own attributes of that name.
func attributes() []string {
	return []string{
		"check_interval", "retry_interval", "max_check_attempts", "check_period", "check_timeout", "command_endpoint",
		"display_name", "enable_notifications", "enable_active_checks", "notes", "event_command",
	}
}

// Services renders the apply rule: a service for every entry of
// host.vars.belfry.<check>. It is one rule for all checks, so that it sees what
// is no check, and Icinga does not warn of those that no host has. A dictionary that says something nobody
// understands fails the configuration, because a typo must not silence a
// check.
func Services(catalog []*check.Definition) []byte {
	var b strings.Builder
	b.WriteString(header + `//
// A host's dictionary vars.belfry.<check>["name"] makes the service
// <check>-name on it. Its keys are options of the check, with _ for -,
// attributes of the service (below), groups, vars, and needs: what must not be
// CRITICAL for the service to notify, "service" or "host!service".

const BelfryAttributes = [ ` + quoted(attributes()) + ` ]

// The options of each check. text: one value; list: a value or an array;
// pairs: likewise, or a dictionary; switch: true or false; file: a secret,
// which is given by a file.
const BelfryOptions = {
`)
	for _, d := range catalog {
		fmt.Fprintf(&b, "  %s = {\n", quote(d.Name))
		for _, o := range Options(d) {
			fmt.Fprintf(&b, "    %s = %s\n", quote(o.Key), quote(word(o)))
		}
		b.WriteString("  }\n")
	}
	b.WriteString("}\n" + fill + apply)
	return []byte(b.String())
}

func quoted(items []string) string {
	var list []string
	for _, i := range items {
		list = append(list, quote(i))
	}
	return strings.Join(list, ", ")
}

// word is what belfry_fill has to know of an option's kind.
func word(o Option) string {
	switch {
	case o.Kind == Secret && len(o.Env) == 0:
		return "file"
	case o.Kind == Secret:
		return "text"
	case o.Kind == Glued:
		return "list"
	}
	return string(o.Kind)
}

const fill = `
// belfry_macros refuses a macro that does not exist: Icinga would leave the
// whole option out without a word.
globals.belfry_macros = function(place, key, value, host) {
  var type = typeof(value)
  if (type == Array || type == Dictionary) {
    for (item in (if (type == Array) { value } else { value.values() })) {
      belfry_macros(place, key, item, host)
    }
  }
  if (type != String) {
    return null
  }
  var parts = value.split("$")
  for (i in range(1, len(parts) - 1, 2)) {
    var name = parts[i]
    var at = name.split(".")
    var known = name == "" || host.vars.contains(name)
    if (name == "address" || name == "address6") {
      known = host[name]
    } else if (len(at) > 2 && at[0] == "host" && at[1] == "vars") {
      known = host.vars.contains(at[2])
    } else if (len(at) > 1) {
      known = at[0] in [ "host", "service", "icinga" ]
    }
    if (!known) {
      throw place + ": '" + key + "': the host has no $" + name + "$ (a dollar is written $$)"
    }
  }
}

// belfry_fill sets a service's variables and attributes from its dictionary.
globals.belfry_fill = function(service, host, check, name, config) {
  var place = "host '" + host.name + "': vars.belfry." + check + "[\"" + name + "\"]"
  if (typeof(config) != Dictionary) {
    throw place + " is no dictionary of options: write vars.belfry." + check + "[\"name\"] = { options }, { } for none"
  }
  var known = BelfryOptions[check]
  var set = {}
  for (key => value in config) {
    if (key in [ "groups", "vars", "needs" ] || key in BelfryAttributes) {
      continue
    }
    if (!known.contains(key)) {
      throw place + ": check_" + check + " has no option '" + key + "' (see check_" + check + " -h; options are written with _ for -)"
    }
    var kind = known[key]
    var type = typeof(value)
    if (kind == "file") {
      throw place + ": '" + key + "' is a secret, which is given by a file: " + key + "_file"
    }
    if (Json.encode(value) in [ "null", "\"\"" ]) {
      throw place + ": '" + key + "' is empty, which would mean its default: leave it out"
    }
    if (kind == "switch" && type != Boolean) {
      throw place + ": '" + key + "' is true or false, without quotes"
    }
    if (kind != "switch" && type == Boolean) {
      throw place + ": '" + key + "' takes a value, not true or false"
    }
    if (kind == "text" && (type == Array || type == Dictionary)) {
      throw place + ": '" + key + "' takes one value"
    }
    if (kind == "list" && type == Dictionary) {
      throw place + ": '" + key + "' takes a value or an array"
    }
    if (key == "timeout") {
      if (type != Number) {
        throw place + ": write 'timeout' without quotes: 30s"
      }
      // The plugin must answer before Icinga kills it.
      service.check_timeout = value + 30s
    }
    belfry_macros(place, key, value, host)
    set["belfry_" + check + "_" + key] = value
  }
  service.vars += set
  service.vars += config.vars
  for (key in BelfryAttributes) {
    if (config.contains(key)) {
      service[key] = config[key]
    }
  }
  // Icinga hands a check to an agent only where it knows whose service it is,
  // which it does not for what stands in conf.d.
  if (service.command_endpoint && !service.zone) {
    service.zone = ZoneName
  }
  if (config.groups) {
    service.groups += config.groups
  }
  if (config.needs) {
    var needs = {}
    var list = config.needs
    if (typeof(list) != Array) {
      list = [ list ]
    }
    for (parent in list) {
      var at = parent.split("!")
      if (len(at) == 1) {
        at = [ host.name, parent ]
      }
      needs[at[0] + " " + at[1]] = at
    }
    service.vars.belfry_needs = needs
  }
}
`

const apply = `
// belfry_entries are the services of a host, by their names. Icinga takes an
// error in here for no services at all, so it is kept for the rule to say.
globals.belfry_entries = function(host) {
  var all = host.vars.belfry
  var entries = {}
  if (!all) {
    return entries
  }
  if (typeof(all) != Dictionary) {
    entries["belfry"] = { wrong = "vars.belfry is no dictionary: write vars.belfry.<check>[\"name\"] = { options }" }
    return entries
  }
  for (check => services in all) {
    if (!BelfryOptions.contains(check)) {
      entries[check] = { wrong = "vars.belfry has no check '" + check + "'; there are " + BelfryOptions.keys().join(", ") }
    } else if (typeof(services) != Dictionary) {
      entries[check] = { wrong = "vars.belfry." + check + " is no dictionary: write vars.belfry." + check + "[\"name\"] = { options }" }
    } else {
      for (name => config in services) {
        entries[check + "-" + name] = { check = check, name = name, config = config }
      }
    }
  }
  return entries
}

apply Service for (id => entry in belfry_entries(host)) {
  if (entry.wrong) {
    throw "host '" + host.name + "': " + entry.wrong
  }
  import "belfry-" + entry.check.replace("_", "-")
  belfry_fill(this, host, entry.check, entry.name, entry.config)
}

// While what a service needs is CRITICAL, softly too, it is looked at and does
// not notify: one fault, one page. UNKNOWN and WARNING silence nobody. What is
// still wrong when the cause is mended notifies then.
apply Dependency "belfry-needs " for (name => at in service.vars.belfry_needs) to Service {
  parent_host_name = at[0]
  parent_service_name = at[1]
  states = [ OK, Warning, Unknown ]
  ignore_soft_states = false
  disable_checks = false
  disable_notifications = true
}
`
