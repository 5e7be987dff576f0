package agent

import (
	"context"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
)

// SessionLink begins, keeps and ends the session of a process.
type SessionLink interface {
	Hello(ctx context.Context, h client.Hello) (client.Session, error)
	Renew(ctx context.Context, session string, seen int64) (client.Renewal, error)
	Leave(ctx context.Context, session string) error
}

// WorkLink tells what is due and takes what became of it.
type WorkLink interface {
	Wait(ctx context.Context, session string, f func(client.Wakeup)) error
	GetWork(ctx context.Context, session string) (client.Work, error)
	Report(ctx context.Context, session string, r client.Report) (deploy.Deployment, error)
}

// GitLink takes what was seen in repositories.
type GitLink interface {
	ReportHead(ctx context.Context, session string, h client.HeadReport) (client.HeadAnswer, error)
	ReportFiles(ctx context.Context, session string, f client.FilesReport) (registered bool, err error)
}

// RecordLink keeps journals and stage logs.
type RecordLink interface {
	PutJournal(ctx context.Context, session, deployment string, epoch int64, entries []deploy.JournalEntry) error
	AppendLog(ctx context.Context, session string, c client.LogChunk) (full bool, err error)
}

// BlobLink keeps what is too large for an event.
type BlobLink interface {
	PutBlob(ctx context.Context, session string, data []byte) (digest string, err error)
	GetBlob(ctx context.Context, session, digest string) ([]byte, error)
}

// LiveLink takes observations.
type LiveLink interface {
	ReportLive(ctx context.Context, session, application string, o client.Observation) error
}

// QuestionLink takes answers.
type QuestionLink interface {
	AnswerQuestion(ctx context.Context, session string, a client.QuestionAnswer) error
}

// Link is the whole connection to the control plane; *client.Link is one.
type Link interface {
	SessionLink
	WorkLink
	GitLink
	RecordLink
	BlobLink
	LiveLink
	QuestionLink
}
