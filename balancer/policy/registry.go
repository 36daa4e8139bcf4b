package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Policies is a Registry of this package's policies, with others behind it.
type Policies struct {
	own  map[string]Builder
	Else func(name string) (Builder, bool) // nil: nothing else
}

// NewPolicies makes a registry.
func NewPolicies(builders ...Builder) *Policies {
	p := &Policies{own: make(map[string]Builder, len(builders))}
	for _, b := range builders {
		p.own[b.Name] = b
	}
	return p
}

// Lookup implements Registry.
func (p *Policies) Lookup(name string) (Builder, bool) {
	if b, ok := p.own[name]; ok {
		return b, true
	}
	if p.Else == nil {
		return Builder{}, false
	}
	return p.Else(name)
}

// Choice is one entry of a loadBalancingConfig list: a policy and its
// configuration.
type Choice struct {
	Builder Builder
	Config  Config
}

// ErrNoPolicy says that a loadBalancingConfig list names no known policy.
var ErrNoPolicy = errors.New("no supported policy in loadBalancingConfig")

// ParseList reads a loadBalancingConfig list: the first policy that is known is
// chosen, and its configuration must be valid (gRFC A24).
func ParseList(js json.RawMessage, r Registry) (Choice, error) {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(js, &list); err != nil {
		return Choice{}, fmt.Errorf("loadBalancingConfig: %w", err)
	}
	var unknown []string
	for i, entry := range list {
		if len(entry) != 1 {
			return Choice{}, fmt.Errorf("loadBalancingConfig[%d]: %d policies in one entry, want 1", i, len(entry))
		}
		for name, raw := range entry {
			b, ok := r.Lookup(name)
			if !ok {
				unknown = append(unknown, name)
				continue
			}
			c := Choice{Builder: b}
			if b.Parse != nil {
				var err error
				if c.Config, err = b.Parse(raw, r); err != nil {
					return Choice{}, fmt.Errorf("loadBalancingConfig: %s: %w", name, err)
				}
			}
			return c, nil
		}
	}
	return Choice{}, fmt.Errorf("%w: [%s]", ErrNoPolicy, strings.Join(unknown, ", "))
}
