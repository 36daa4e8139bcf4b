package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// PriorityName is the policy's name in loadBalancingConfig.
const PriorityName = "priority_experimental"

// PriorityConfig is the configuration of priority. In JSON:
//
//	{"children": {"<name>": {"config": [...], "ignoreReresolutionRequests": false}},
//	 "priorities": ["<name>", ...]}
type PriorityConfig struct {
	Children   map[string]PriorityChild // each is in Priorities
	Priorities []string                 // names of Children, the highest first; each once
}

// PriorityChild is one child of priority. Its endpoints are those whose path
// begins with its name; see WithPath.
type PriorityChild struct {
	Policy Choice
	// IgnoreResolve drops the child's requests to resolve again.
	IgnoreResolve bool
}

// Priority is the builder of priority (gRFC A56).
func Priority() Builder {
	return Builder{
		Name:  PriorityName,
		Parse: parsePriority,
		New:   func(r Registry) Policy { return newPriority(r) },
	}
}

var (
	errNoChild    = errors.New("not in children")
	errNoPriority = errors.New("not in priorities")
	errTwice      = errors.New("named twice")
)

func parsePriority(js json.RawMessage, r Registry) (Config, error) {
	c := &PriorityConfig{Children: make(map[string]PriorityChild)}
	f := parseFields(js)
	f.read("children", func(js json.RawMessage) error {
		var raw map[string]json.RawMessage
		if err := json.Unmarshal(js, &raw); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(raw)) {
			var ch PriorityChild
			cf := parseFields(raw[name])
			cf.policies("config", r, &ch.Policy)
			cf.boolean("ignoreReresolutionRequests", &ch.IgnoreResolve)
			if cf.err != nil {
				return fmt.Errorf("%q: %w", name, cf.err)
			}
			c.Children[name] = ch
		}
		return nil
	})
	seen := make(map[string]bool, len(c.Children))
	f.read("priorities", func(js json.RawMessage) error {
		if err := json.Unmarshal(js, &c.Priorities); err != nil {
			return err
		}
		for _, name := range c.Priorities {
			if _, ok := c.Children[name]; !ok {
				return fmt.Errorf("%q: %w", name, errNoChild)
			}
			if seen[name] {
				return fmt.Errorf("%q: %w", name, errTwice)
			}
			seen[name] = true
		}
		return nil
	})
	if f.err != nil {
		return nil, f.err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Children)) {
		if !seen[name] {
			return nil, fmt.Errorf("children: %q: %w", name, errNoPriority)
		}
	}
	return c, nil
}
