package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
)

// WeightedTargetName is the policy's name in loadBalancingConfig.
const WeightedTargetName = "weighted_target_experimental"

// WeightedTargetConfig is the configuration of weighted_target. In JSON:
//
//	{"targets": {"<name>": {"weight": 1, "childPolicy": [...]}}}
type WeightedTargetConfig struct {
	Targets map[string]Target // may be empty: every RPC fails
}

// Target is one child of weighted_target. Its endpoints are those whose path
// begins with its name; see WithPath.
type Target struct {
	Weight uint32 // its share of the sum of all; at least 1, and the sum at most 2^32-1
	Policy Choice
}

// WeightedTarget is the builder of weighted_target (gRFC A28).
func WeightedTarget() Builder {
	return Builder{
		Name:  WeightedTargetName,
		Parse: parseWeightedTarget,
		New:   func(r Registry) Policy { return newWeightedTarget(r) },
	}
}

func parseWeightedTarget(js json.RawMessage, r Registry) (Config, error) {
	c := &WeightedTargetConfig{Targets: make(map[string]Target)}
	f := parseFields(js)
	f.read("targets", func(js json.RawMessage) error {
		var raw map[string]json.RawMessage
		if err := json.Unmarshal(js, &raw); err != nil {
			return err
		}
		sum := uint64(0)
		for _, name := range slices.Sorted(maps.Keys(raw)) {
			t, err := parseTarget(raw[name], r)
			if err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			c.Targets[name] = t
			sum += uint64(t.Weight)
		}
		if sum > math.MaxUint32 {
			return fmt.Errorf("weight: the sum %d is more than %d", sum, uint32(math.MaxUint32))
		}
		return nil
	})
	if f.err != nil {
		return nil, f.err
	}
	return c, nil
}

func parseTarget(js json.RawMessage, r Registry) (Target, error) {
	var t Target
	f := parseFields(js)
	f.count("weight", math.MaxUint32, &t.Weight)
	f.policies("childPolicy", r, &t.Policy)
	if f.err == nil && t.Weight == 0 {
		f.err = fmt.Errorf("weight: must be at least 1")
	}
	return t, f.err
}
