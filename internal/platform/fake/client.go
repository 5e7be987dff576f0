package fake

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// caller is one agent process on behalf of one deployment.
type caller struct {
	cloud      *Cloud
	by         string
	deployment string
}

func (c caller) w(op, service, detail string) Write {
	return Write{By: c.by, Deployment: c.deployment, Op: op, Service: service, Detail: detail}
}

// createService makes a service without sets and without a route.
func (c caller) createService(ctx context.Context, name string, size int) error {
	return c.cloud.write(ctx, c.w("service", name, ""), func(s *Service) error {
		s.Size = size
		return nil
	})
}

func (c caller) drop(ctx context.Context, name string) error {
	return c.cloud.write(ctx, c.w("drop", name, ""), nil)
}

// create makes a set; a known token returns the set that it made.
func (c caller) create(ctx context.Context, service string, want Set) (string, error) {
	var id string
	err := c.cloud.write(ctx, c.w("create", service, want.Group+":"+want.Version), func(s *Service) error {
		for _, x := range s.Sets {
			if want.Token != "" && x.Token == want.Token {
				c.cloud.repeated++
				id = x.ID
				return nil
			}
		}
		c.cloud.created++
		want.ID, want.Since = "set-"+strconv.Itoa(c.cloud.created), time.Now()
		s.Sets = append(s.Sets, want)
		id = want.ID
		return nil
	})
	return id, err
}

func (c caller) scale(ctx context.Context, service, id string, n int) error {
	return c.cloud.write(ctx, c.w("scale", service, fmt.Sprint(id, "=", n)), func(s *Service) error {
		i := slices.IndexFunc(s.Sets, func(x Set) bool { return x.ID == id })
		if i < 0 {
			return fmt.Errorf("set %s: %w", id, errGone)
		}
		if s.Sets[i].Replicas == 0 && n > 0 {
			s.Sets[i].Since = time.Now()
		}
		s.Sets[i].Replicas = n
		return nil
	})
}

func (c caller) remove(ctx context.Context, service, id string) error {
	return c.cloud.write(ctx, c.w("delete", service, id), func(s *Service) error {
		s.Sets = slices.DeleteFunc(s.Sets, func(x Set) bool { return x.ID == id })
		return nil
	})
}

func (c caller) weights(ctx context.Context, service string, w map[string]int) error {
	return c.cloud.write(ctx, c.w("weights", service, weightsText(w)), func(s *Service) error {
		s.Weights = maps.Clone(w)
		return nil
	})
}

func (c caller) main(ctx context.Context, service, id string) error {
	return c.cloud.write(ctx, c.w("main", service, id), func(s *Service) error {
		s.Main = id
		return nil
	})
}

func (c caller) size(ctx context.Context, service string, n int) error {
	return c.cloud.write(ctx, c.w("size", service, strconv.Itoa(n)), func(s *Service) error {
		s.Size = n
		return nil
	})
}
