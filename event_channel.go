package callboard

import (
	"time"

	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/resolver"
)

// heardUpdate publishes what the resolver offers.
func (c *channel) heardUpdate(m *resolver.Update) {
	was := c.heard
	c.heard = m
	changed := was == nil || !balancer.SameEndpoints(was.Endpoints, m.Endpoints)
	c.self.Probe().Publish(ResolverUpdated{Origin: c.resolverOrigin(), Endpoints: len(m.Endpoints), Changed: changed})
}

// heardFailure publishes that there was no answer.
func (c *channel) heardFailure(m *resolver.Failed) {
	c.self.Probe().Publish(ResolverFailed{Origin: c.resolverOrigin(), Err: m.Err})
}

func (c *channel) resolverOrigin() Origin {
	o := Origin{At: time.Now(), Actor: c.self.Probe().Path()}
	if c.res.Valid() {
		o.Actor = c.res.Probe().Path()
	}
	return o
}
