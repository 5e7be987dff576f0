// Package store is the contract of the control plane's database: append-only
// streams of events, which are the truth, and collections of records that are
// folded from them or stand beside them. store/sqlite is the embedded default;
// storetest is the suite that every implementation passes.
//
// # Contract
//
// Every row begins with a project id and every call names it; nothing is
// visible across projects. Update runs a function in one durable write
// transaction: when it returns nil, all of it survives a crash of process or
// machine; when it returns an error, none of it happened. Updates are
// serialised: what a function read is still true when it writes. The function
// may be run again after a failed attempt, so it must not have effects outside
// the transaction. View reads one consistent snapshot and never waits for a
// writer.
//
// Positions of events grow in the order in which their transactions become
// visible: a reader that has seen position p never finds a new event at or
// below p later.
package store

import (
	"context"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// System is the project id of records that belong to no project: projects
// themselves and credentials, which must be found before a project is known.
const System = "_system"

// Store is one database.
type Store interface {
	// Update runs f in one durable write transaction.
	Update(ctx context.Context, project string, f func(Tx) error) error
	// View runs f on one consistent snapshot; writing calls fail.
	View(ctx context.Context, project string, f func(Tx) error) error
	// Side is the store of what may be lost in a crash of the machine: stage
	// logs, live states, heartbeats.
	Side() Side
	// Incarnation is a random id made with the database and changed when a
	// backup is restored.
	Incarnation() string
	// Close waits for running transactions and releases the files.
	Close() error
}

// Tx is a transaction in one project.
type Tx interface {
	Streams
	Records
}

// AnyLength as the expected length of a stream appends behind whatever is there.
const AnyLength = -1

// Stream names a stream of events.
type Stream struct {
	Kind deploy.StreamKind
	ID   string
}

// Stored is an event with its place.
type Stored struct {
	deploy.Event
	Stream Stream
	Seq    int64 // from 1, without gaps, in its stream
	Pos    int64 // in the order of becoming visible, over all streams and projects
	Topic  string
}

// Streams is the event side of a transaction.
type Streams interface {
	// Append adds events to the end of a stream. after is the number of events
	// that the caller has seen (conflict otherwise: deploy.CodeConflict). An
	// event larger than deploy.MaxEventBytes or beyond deploy.MaxDeploymentEvents
	// is refused (deploy.CodeTooLarge). An event id that is already stored in the
	// project is refused with deploy.RefusedDuplicate; a stored event is never
	// changed. topic is kept beside the events so that readers of changes can
	// filter (the application id).
	Append(s Stream, after int64, topic string, events []deploy.Event) error
	// Read returns the events of one stream with Seq > after, oldest first, at most limit.
	Read(s Stream, after int64, limit int) ([]Stored, error)
	// Since returns the events of the project with Pos > after, in order of Pos,
	// at most limit, and the position of the newest visible event of the store
	// (also when nothing is returned). Data is left out.
	Since(after int64, limit int) (events []Stored, newest int64, err error)
}

// Collection is a table of records. Index lists its searchable columns; all
// are text (instants as Instant renders them, so that text order is time order).
type Collection struct {
	Name  string
	Index []string
	// Facets are the columns of Index by which a list is filtered and counted;
	// counting by them alone does not look at the records.
	Facets []string
	// Tagged collections keep the tags of their records.
	Tagged bool
	// Summary collections keep a short form of each body, for lists.
	Summary bool
	// SharedText says that many records have the same text, so that words are
	// better looked for in the different texts.
	SharedText bool
}

// The collections.
var (
	Projects    = Collection{Name: "projects"}                              // in System
	Credentials = Collection{Name: "credentials", Index: []string{"owner"}} // in System; key: hash of the secret
	Deployments = Collection{                                               // key: id; open "1" until terminal; timer: next instant something is due; text: what words are looked for in
		Name: "deployments", Index: []string{"application_id", "status", "open", "timer", "name", "display", "kind", "trigger", "agent_id", "provider", "commit", "text"},
		Facets: []string{"display", "kind", "trigger", "agent_id", "provider"}, Tagged: true, Summary: true, SharedText: true,
	}
	Applications = Collection{ // key: id; name in lower case; by_* and attention: rank and name, to sort by; all empty when deleted
		Name: "applications", Index: []string{"name", "agent_id", "repo_id", "kind", "provider", "sync", "health", "display", "enabled", "last_at", "text", "by_health", "by_sync", "by_display", "by_kind", "attention"},
		Facets: []string{"kind", "provider", "agent_id", "sync", "health", "display", "enabled"}, Tagged: true,
	}
	Agents      = Collection{Name: "agents", Index: []string{"name"}}                                             // key: id
	Sessions    = Collection{Name: "sessions", Index: []string{"agent_id", "expires"}}                            // key: session id
	Assignments = Collection{Name: "assignments", Index: []string{"session_id", "agent_id"}}                      // key: deployment id, or application id for watching
	Journal     = Collection{Name: "journal", Index: []string{"deployment_id"}}                                   // key: deployment id + "/" + journal key
	Claims      = Collection{Name: "claims", Index: []string{"deployment_id"}}                                    // key: kind + "/" + key
	Triggers    = Collection{Name: "triggers", Index: []string{"application_id"}}                                 // key: trigger key
	Discovered  = Collection{Name: "discovered", Index: []string{"agent_id", "repo_id"}}                          // key: agent/repo/path/file
	Heads       = Collection{Name: "heads", Index: []string{"repo_id"}}                                           // key: agent/repo/branch
	Requests    = Collection{Name: "requests", Index: []string{"at"}}                                             // key: principal/request id; body: the answer
	Preferences = Collection{Name: "preferences"}                                                                 // key: principal
	Commands    = Collection{Name: "commands", Index: []string{"actor", "application_id", "deployment_id", "at"}} // key: id, ordered by time
	Questions   = Collection{Name: "questions", Index: []string{"application_id", "open", "at"}}                  // key: id, ordered by time; open: the agent's id until there is an answer
)

// Collections lists all of them, for migrations and for the suite.
func Collections() []Collection {
	return []Collection{Projects, Credentials, Deployments, Applications, Agents, Sessions, Assignments, Journal, Claims, Triggers, Discovered, Heads, Requests, Preferences, Commands, Questions}
}

// Record is one row: a key, an opaque body (JSON by convention) and values for
// the index columns of its collection (a missing one is "").
type Record struct {
	Key   string
	Body  []byte
	Index map[string]string
	// Tags are words under which the record of a tagged collection is found. Put
	// stores them in place of earlier ones; reading leaves them out.
	Tags []string
	// Summary is what lists show of the body. Put stores it in place of an
	// earlier one; reading leaves it out unless Query.Summaries asks for it.
	Summary []byte
}

// Query selects records. All conditions hold together.
type Query struct {
	Where    map[string][]string // index column is one of these
	Contains map[string][]string // index column contains all of these texts
	Prefix   map[string]string   // index column begins with this text, which is not empty
	Keys     []string            // key is one of these; nil is no condition
	Tags     []string            // record has all of these tags
	NotAfter map[string]string   // index column is not empty and ≤ this
	OrderBy  string              // index column, or "" for the key; ties by key
	Desc     bool
	After    *Cursor // go on behind this record
	Limit    int     // 1–1000
	// Summaries reads summaries in place of bodies, of a collection that keeps them.
	Summaries bool
}

// Cursor is the place of a record in an order.
type Cursor struct{ Value, Key string }

// Records is the record side of a transaction. Unknown collections or columns
// are errors.
type Records interface {
	// Get returns a record; false when there is none.
	Get(c Collection, key string) (Record, bool, error)
	// Put inserts or replaces a record.
	Put(c Collection, r Record) error
	// Delete removes a record if it is there.
	Delete(c Collection, key string) error
	// List returns records in order.
	List(c Collection, q Query) ([]Record, error)
	// Count counts what a query selects, After and Limit aside.
	Count(c Collection, q Query) (int, error)
	// Tally counts what a query selects by combination of values of facet
	// columns, After and Limit aside, in no order.
	Tally(c Collection, q Query, columns []string) ([]Tally, error)
	// TallyTags counts what a query selects by tag, of tags with a prefix, the
	// most frequent first, at most limit.
	TallyTags(c Collection, q Query, prefix string, limit int) ([]Tally, error)
}

// Tally is how many records have these values in the columns that were asked for.
type Tally struct {
	Values []string
	N      int
}

// LogKey names the log of one attempt of a stage.
type LogKey struct {
	Project, Deployment, Stage string
	Attempt                    int
}

// MaxLogBytes caps the log of one attempt; the last line then says so.
const MaxLogBytes = 4 << 20

// Side keeps what may be lost in a crash of the machine.
type Side interface {
	// AppendLog adds a chunk written by the holder of an epoch at that writer's
	// own offset. A chunk whose (epoch, offset) was stored before is ignored.
	// Full is true when the cap was reached: nothing more is stored.
	AppendLog(ctx context.Context, k LogKey, epoch, offset int64, data []byte) (full bool, err error)
	// ReadLog returns up to max bytes of the log from a byte offset over all
	// epochs, in the order in which chunks were stored.
	ReadLog(ctx context.Context, k LogKey, from int64, max int) ([]byte, error)
	// PutSide stores a value under (project, kind, key); GetSide reads it.
	PutSide(ctx context.Context, project, kind, key string, at time.Time, value []byte) error
	// GetSide returns a value and when it was stored; false when there is none.
	GetSide(ctx context.Context, project, kind, key string) ([]byte, time.Time, bool, error)
}

// Instant renders an instant so that text order is time order; the zero time is "".
func Instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000000Z")
}
