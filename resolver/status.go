package resolver

import "time"

// Status is the detail that a resolver's probe shows: what is in force, what
// went wrong last and what happens next.
type Status struct {
	Endpoints int       // of the answer in force
	Since     time.Time // when it came; zero: there is none yet
	Err       error     // why the newest look failed; nil: it did not
	ConfigErr error     // what is wrong with the newest service config
	Skipped   int       // addresses of the newest answer beyond the limit
	Next      time.Time // of the next look; zero: when something asks for it
	Looks     int       // answers and failures so far
	Unchanged int       // answers that said what the one before said
}

func (s *Status) updated(u *Update) {
	s.Looks++
	s.Endpoints, s.Since, s.Err, s.ConfigErr = len(u.Endpoints), time.Now(), nil, nil
	if u.Config != nil {
		s.ConfigErr = u.Config.Err
	}
}

func (s *Status) failed(f *Failed) {
	s.Looks++
	s.Err = f.Err
	s.retryIn(f.Retry)
}

// retryIn notes when the next look is due; 0 is never.
func (s *Status) retryIn(d time.Duration) {
	s.Next = time.Time{}
	if d > 0 {
		s.Next = time.Now().Add(d)
	}
}
