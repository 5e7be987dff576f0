package lambda

import "context"

// cloud is what the steps need of AWS, in the words of this package. Its errors are classified already: Final or Retryable.
// What is not there is nil, not an error. Every call is one read or one write, with all pages read.
type cloud interface {
	functions
	versions
	aliases
}

// functions are functions with their $LATEST.
type functions interface {
	// Account is account/region of the credentials.
	Account(ctx context.Context) (string, error)
	// Function reads a function with its tags; nil when it does not exist.
	Function(ctx context.Context, name string) (*function, error)
	// CreateFunction makes a function without publishing a version.
	CreateFunction(ctx context.Context, d *desired, t tags) error
	// Configure writes the fields in which have differs from want.
	Configure(ctx context.Context, name string, have, want config, revision string) error
	// Upload gives $LATEST other code and returns its hash.
	Upload(ctx context.Context, name string, from source, architecture, revision string) (string, error)
	Tag(ctx context.Context, arn string, set tags, remove []string) error
	DeleteFunction(ctx context.Context, name string) error
}

// versions are published versions.
type versions interface {
	// Version reads a published version; nil when it does not exist.
	Version(ctx context.Context, name, number string) (*version, error)
	// Versions lists the published versions.
	Versions(ctx context.Context, name string) ([]version, error)
	// Publish makes a version of $LATEST, if that has this revision and code, or returns the newest one if it is the same.
	Publish(ctx context.Context, name, sha, revision, description string) (*version, error)
	DeleteVersion(ctx context.Context, name, number string) error
}

// aliases are names that invocations go to.
type aliases interface {
	// Alias reads an alias; nil when it does not exist.
	Alias(ctx context.Context, function, name string) (*alias, error)
	CreateAlias(ctx context.Context, function, name string, a alias) error
	// SetAlias writes version and weights, if the alias still has the revision of a.
	SetAlias(ctx context.Context, function, name string, a alias) error
	DeleteAlias(ctx context.Context, function, name string) error
}
