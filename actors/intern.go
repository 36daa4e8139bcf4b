package actors

import (
	"sync"
	"sync/atomic"
)

// internLimit keeps a caller that makes up names from growing the map.
const internLimit = 1024

var (
	internMu sync.Mutex
	interned atomic.Pointer[map[string]*string]
)

// intern returns a shared pointer to an equal string. Reads take no lock: the
// map is replaced, never changed.
func intern(s string) *string {
	old := interned.Load()
	if old != nil {
		if p, ok := (*old)[s]; ok {
			return p
		}
	}
	return internSlow(s)
}

func internSlow(s string) *string {
	internMu.Lock()
	defer internMu.Unlock()
	grown := make(map[string]*string)
	if old := interned.Load(); old != nil {
		if p, ok := (*old)[s]; ok {
			return p
		}
		if len(*old) >= internLimit {
			return &s
		}
		for k, v := range *old {
			grown[k] = v
		}
	}
	grown[s] = &s
	interned.Store(&grown)
	return &s
}
