package policy

import (
	"encoding/json"
	"math"
	"time"
)

// OutlierDetectionName is the policy's name in loadBalancingConfig.
const OutlierDetectionName = "outlier_detection_experimental"

// OutlierDetectionConfig is the configuration of outlier_detection (gRFC A50).
// Percentages are from 0 to 100. Without SuccessRate and FailurePercentage
// nothing is counted and nothing ejected. In JSON:
//
//	{"interval": "10s", "baseEjectionTime": "30s", "maxEjectionTime": "300s",
//	 "maxEjectionPercent": 10,
//	 "successRateEjection": {"stdevFactor": 1900, "enforcementPercentage": 100,
//	                         "minimumHosts": 5, "requestVolume": 100},
//	 "failurePercentageEjection": {"threshold": 85, "enforcementPercentage": 100,
//	                               "minimumHosts": 5, "requestVolume": 50},
//	 "childPolicy": [...]}
type OutlierDetectionConfig struct {
	// Interval is the time between two looks at the counts. 10 s by default;
	// less than 10 ms is 10 ms.
	Interval time.Duration
	// An endpoint is ejected for BaseEjectionTime (30 s by default) times the
	// number of its ejections, at most for MaxEjectionTime (300 s by default) or
	// BaseEjectionTime if that is more.
	BaseEjectionTime, MaxEjectionTime time.Duration
	// MaxEjectionPercent stops ejections while so many endpoints are ejected; 10
	// by default, which lets one of three go.
	MaxEjectionPercent uint32
	SuccessRate        *SuccessRateEjection
	FailurePercentage  *FailurePercentageEjection
	Policy             Choice
}

// SuccessRateEjection ejects endpoints whose success rate is below the mean of
// all by more than StdevFactor thousandths of the standard deviation.
type SuccessRateEjection struct {
	StdevFactor           uint32 // default 1900
	EnforcementPercentage uint32 // how many of those found are ejected; default 100
	MinimumHosts          uint32 // endpoints with the volume, or nothing is done; default 5
	RequestVolume         uint32 // RPCs in an interval for an endpoint to count; default 100
}

// FailurePercentageEjection ejects endpoints of whose RPCs more than Threshold
// percent fail.
type FailurePercentageEjection struct {
	Threshold             uint32 // default 85
	EnforcementPercentage uint32 // how many of those found are ejected; default 100
	MinimumHosts          uint32 // endpoints with the volume, or nothing is done; default 5
	RequestVolume         uint32 // RPCs in an interval for an endpoint to count; default 50
}

// OutlierDetection is the builder of outlier_detection (gRFC A50).
func OutlierDetection() Builder {
	return Builder{
		Name:  OutlierDetectionName,
		Parse: parseOutlierDetection,
		New:   func(r Registry) Policy { return newOutlierDetection(r) },
	}
}

func defaultOutlierDetection() *OutlierDetectionConfig {
	return &OutlierDetectionConfig{
		Interval:           10 * time.Second,
		BaseEjectionTime:   30 * time.Second,
		MaxEjectionTime:    300 * time.Second,
		MaxEjectionPercent: 10,
	}
}

const hundred = 100 // percent

func parseOutlierDetection(js json.RawMessage, r Registry) (Config, error) {
	c := defaultOutlierDetection()
	f := parseFields(js)
	f.duration("interval", &c.Interval)
	f.duration("baseEjectionTime", &c.BaseEjectionTime)
	f.duration("maxEjectionTime", &c.MaxEjectionTime)
	f.count("maxEjectionPercent", hundred, &c.MaxEjectionPercent)
	f.read("successRateEjection", func(js json.RawMessage) error {
		e := &SuccessRateEjection{StdevFactor: 1900, EnforcementPercentage: hundred, MinimumHosts: 5, RequestVolume: 100}
		sf := parseFields(js)
		sf.count("stdevFactor", math.MaxUint32, &e.StdevFactor)
		sf.count("enforcementPercentage", hundred, &e.EnforcementPercentage)
		sf.count("minimumHosts", math.MaxUint32, &e.MinimumHosts)
		sf.count("requestVolume", math.MaxUint32, &e.RequestVolume)
		c.SuccessRate = e
		return sf.err
	})
	f.read("failurePercentageEjection", func(js json.RawMessage) error {
		e := &FailurePercentageEjection{Threshold: 85, EnforcementPercentage: hundred, MinimumHosts: 5, RequestVolume: 50}
		sf := parseFields(js)
		sf.count("threshold", hundred, &e.Threshold)
		sf.count("enforcementPercentage", hundred, &e.EnforcementPercentage)
		sf.count("minimumHosts", math.MaxUint32, &e.MinimumHosts)
		sf.count("requestVolume", math.MaxUint32, &e.RequestVolume)
		c.FailurePercentage = e
		return sf.err
	})
	f.policies("childPolicy", r, &c.Policy)
	if f.err != nil {
		return nil, f.err
	}
	return c, nil
}
