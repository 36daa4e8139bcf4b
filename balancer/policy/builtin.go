package policy

// Default are the builders of this package's policies.
func Default() []Builder {
	return []Builder{
		PickFirst(),
		RoundRobin(),
		LeastRequest(),
		RingHash(),
		RandomSubsetting(),
		WeightedTarget(),
		Priority(),
		OutlierDetection(),
		WeightedRoundRobin(),
	}
}
