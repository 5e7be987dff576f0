// Package builtin is the visible list of the platforms that are built in: the
// one line that a new platform adds. It knows all of them; nothing else does.
package builtin

import (
	"log/slog"

	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
	"github.com/penstock-cd/penstock/internal/platform/ecs"
	"github.com/penstock-cd/penstock/internal/platform/lambda"
)

// AWS says how platforms on AWS reach their cloud.
type AWS = awsaccess.Options

// Options are what the platforms need of the program.
type Options struct {
	Logger *slog.Logger
	// AWS overrides how the cloud is reached; the zero value takes it from the
	// provider's configuration and the environment.
	AWS AWS
}

// Platforms returns all built-in platforms.
func Platforms(o Options) []platform.Platform {
	aws := o.AWS
	aws.Logger = o.Logger
	return []platform.Platform{
		ecs.New(aws),
		lambda.New(aws),
	}
}
