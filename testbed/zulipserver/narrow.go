package zulipserver

import (
	"fmt"
	"slices"
	"strings"
)

// narrow is a search: every term must fit.
type narrow []term

type term struct {
	operator string
	operand  string
	negated  bool
}

// parseNarrow reads [operator, operand] pairs and objects.
func parseNarrow(items []any) (narrow, error) {
	var out narrow
	for _, item := range items {
		var t term
		var operand any
		switch item := item.(type) {
		case []any:
			if len(item) != 2 {
				return nil, badRequest("narrow is not a list of pairs")
			}
			t.operator, _ = item[0].(string)
			operand = item[1]
		case map[string]any:
			t.operator, _ = item["operator"].(string)
			t.negated, _ = item["negated"].(bool)
			operand = item["operand"]
		default:
			return nil, badRequest("narrow[%d] is not a pair", len(out))
		}
		if t.operator == "" || operand == nil {
			return nil, badRequest("narrow[%d] has no operator or operand", len(out))
		}
		switch operand := operand.(type) {
		case string:
			t.operand = operand
		case float64:
			t.operand = fmt.Sprintf("%.0f", operand)
		case []any: // ids of a direct message
			var parts []string
			for _, id := range operand {
				parts = append(parts, fmt.Sprint(id))
			}
			t.operand = strings.Join(parts, ",")
		}
		out = append(out, t)
	}
	return out, nil
}

// onlyForEvents refuses what a queue cannot be narrowed by.
func (n narrow) onlyForEvents() error {
	for _, t := range n {
		if !slices.Contains([]string{"stream", "channel", "topic", "sender", "is"}, t.operator) {
			return badRequest("Operator %s not supported.", t.operator)
		}
	}
	return nil
}

// check refuses what a search cannot be narrowed by.
func (n narrow) check() error {
	for _, t := range n {
		if !slices.Contains([]string{"stream", "channel", "topic", "sender", "is", "dm", "pm-with", "id"}, t.operator) {
			e := badRequest("Invalid narrow operator: unknown operator %s", t.operator)
			e.code = "BAD_NARROW"
			e.newData = map[string]any{"desc": "unknown operator " + t.operator}
			return e
		}
	}
	return nil
}

func (n narrow) fits(m *message) bool {
	for _, t := range n {
		if t.fits(m) == t.negated {
			return false
		}
	}
	return true
}

func (t term) fits(m *message) bool {
	switch t.operator {
	case "stream", "channel":
		return m.stream != nil && (strings.EqualFold(m.stream.name, t.operand) || fmt.Sprint(m.stream.id) == t.operand)
	case "topic":
		return m.stream != nil && strings.EqualFold(m.topic, t.operand)
	case "sender":
		return m.sender.is(t.operand)
	case "is":
		return m.stream == nil && (t.operand == "dm" || t.operand == "private")
	case "id":
		return fmt.Sprint(m.id) == t.operand
	case "dm", "pm-with":
		if m.stream != nil {
			return false
		}
		for _, name := range splitCommas(t.operand) {
			if !slices.ContainsFunc(m.users, func(u *User) bool { return u.is(name) }) {
				return false
			}
		}
		return true
	}
	return false
}

// is compares with an e-mail or an id.
func (u *User) is(name string) bool {
	return strings.EqualFold(u.Email, name) || fmt.Sprint(u.ID) == name
}

func splitCommas(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
