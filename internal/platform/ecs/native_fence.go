package ecs

import "context"

// CreateNative implements cloud: a service that was deleted a moment ago may be there again.
func (f *fenced) CreateNative(ctx context.Context, in newService, n nativeDeploy) error {
	err := f.cloud.CreateNative(ctx, in, n)
	f.note(err, in.Cluster, in.Name, "service", "the service was created", serving)
	return err
}
