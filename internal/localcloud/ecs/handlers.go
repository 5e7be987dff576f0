package ecs

import "context"

// write wraps an operation that changes state: one at a time under the mutex, on the present state, and never after Close.
func write[In, Out any](c *ECS, f func(context.Context, *In) (*Out, error)) func(context.Context, *In) (*Out, error) {
	return func(ctx context.Context, in *In) (*Out, error) {
		c.mu.Lock()
		defer c.unlock()
		if c.closed {
			return nil, errServer()
		}
		out, err := f(ctx, in)
		c.settle()
		return out, err
	}
}

// read wraps an operation that only looks, on the state that the configured lag lets it see.
func read[In, Out any](c *ECS, f func(*state, *In) (*Out, error)) func(context.Context, *In) (*Out, error) {
	return func(_ context.Context, in *In) (*Out, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		now := c.now()
		for _, cl := range c.st.Clusters {
			for _, s := range cl.Services {
				c.judge(cl, s, now) // target health changes without telling the scheduler
			}
		}
		return f(c.view(), in)
	}
}
