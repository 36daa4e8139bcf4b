package policy

import (
	"encoding/json"
	"time"
)

// WeightedRoundRobinName is the policy's name in loadBalancingConfig.
const WeightedRoundRobinName = "weighted_round_robin"

// WeightedRoundRobinConfig is the configuration of weighted_round_robin (gRFC
// A58). In JSON:
//
//	{"enableOobLoadReport": false, "oobReportingPeriod": "10s",
//	 "blackoutPeriod": "10s", "weightExpirationPeriod": "180s",
//	 "weightUpdatePeriod": "1s", "errorUtilizationPenalty": 1.0}
type WeightedRoundRobinConfig struct {
	// OutOfBand takes weights from reports asked for every OutOfBandPeriod (10 s
	// by default; less than 100 ms is 100 ms) instead of the trailers of RPCs.
	OutOfBand       bool
	OutOfBandPeriod time.Duration
	// Blackout is how long an endpoint must have reported before its weight is
	// used: 10 s by default.
	Blackout time.Duration
	// Expiration is how long a weight is good without a new report: 3 min by
	// default. After it Blackout applies again.
	Expiration time.Duration
	// UpdatePeriod is how often weights are looked at: 1 s by default; less than
	// 100 ms is 100 ms.
	UpdatePeriod time.Duration
	// ErrorPenalty times errors per query is added to the utilisation: 1 by
	// default; not negative.
	ErrorPenalty float64
}

// minWeightPeriod is the least update and reporting period (gRFC A58).
const minWeightPeriod = 100 * time.Millisecond

// WeightedRoundRobin is the builder of weighted_round_robin (gRFC A58).
func WeightedRoundRobin() Builder {
	return Builder{
		Name:  WeightedRoundRobinName,
		Parse: parseWeightedRoundRobin,
		New:   func(Registry) Policy { return newWeightedRoundRobin() },
	}
}

func defaultWeightedRoundRobin() *WeightedRoundRobinConfig {
	return &WeightedRoundRobinConfig{
		OutOfBandPeriod: 10 * time.Second,
		Blackout:        10 * time.Second,
		Expiration:      3 * time.Minute,
		UpdatePeriod:    time.Second,
		ErrorPenalty:    1,
	}
}

func parseWeightedRoundRobin(js json.RawMessage, _ Registry) (Config, error) {
	c := defaultWeightedRoundRobin()
	f := parseFields(js)
	f.boolean("enableOobLoadReport", &c.OutOfBand)
	f.duration("oobReportingPeriod", &c.OutOfBandPeriod)
	f.duration("blackoutPeriod", &c.Blackout)
	f.duration("weightExpirationPeriod", &c.Expiration)
	f.duration("weightUpdatePeriod", &c.UpdatePeriod)
	f.number("errorUtilizationPenalty", &c.ErrorPenalty)
	if f.err != nil {
		return nil, f.err
	}
	return c, nil
}
