package deploy

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// decoders read the data of every type of event that has one.
var decoders = map[EventType]func(*testing.T, Event){
	EvTriggered: again[TriggeredData], EvAdmitted: again[AdmittedData], EvAssigned: again[AssignedData], EvPlanned: again[PlannedData],
	EvStarted: again[StartedData], EvStageStarted: again[StageStartedData], EvStepDone: again[StepDoneData], EvStageEnded: again[StageEndedData],
	EvApproved: again[ApprovedData], EvCancelRequested: again[CancelData], EvRollbackStarted: again[RollbackStartedData], EvFinished: again[FinishedData],
	EvAppRegistered: again[AppData], EvAppUpdated: again[AppData], EvAppHeadMoved: again[HeadData], EvAppInvalid: again[AppInvalidData],
	EvAppQueued: again[QueueData], EvAppSuperseded: again[QueueData], EvAppAdmitted: again[QueueData], EvAppEnded: again[AppEndedData],
}

// again decodes, encodes and decodes: what was read is all that there is to read.
func again[T any](t *testing.T, e Event) {
	t.Helper()
	v, err := Decode[T](e)
	if err != nil {
		return
	}
	written, err := json.Marshal(v)
	if err != nil {
		// Only an instant that no clock shows can be read and not written.
		return
	}
	back, err := Decode[T](Event{Type: e.Type, Data: written})
	if err != nil {
		t.Errorf("%s: %s was read and its own form %s is not: %v", e.Type, e.Data, written, err)
		return
	}
	twice, err := json.Marshal(back)
	if err != nil || string(twice) != string(written) {
		t.Errorf("%s: %s became %s: %v", e.Type, written, twice, err)
	}
}

// FuzzEvent holds that any stored text is an event or an error, that an event is written and read again alike, data that is not
// known included, and that its data is decoded or refused.
func FuzzEvent(f *testing.F) {
	at := time.Date(2026, 11, 28, 15, 0, 0, 0, time.UTC)
	for _, e := range []Event{
		NewEvent(EvTriggered, at, Why(ReasonCancelled, "by", "ann"), TriggeredData{ID: "d", ProjectID: "p"}),
		NewEvent(EvPlanned, at, Reason{}, PlannedData{Plan: Plan{Stages: []PlanStage{{ID: "s"}}}}),
		NewEvent(EvStageStarted, at, Reason{}, StageStartedData{Stage: "s", Attempt: 1, Until: at}),
		NewEvent(EvAppEnded, at, Reason{}, AppEndedData{DeploymentID: "d", Good: &Good{}, Hold: &Hold{}}),
		NewEvent(EvAppReleased, at, Reason{}, nil),
	} {
		text, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"type":"NEW_IN_2.0","schema":7,"data":{"later":{"x":[1]}}}`))
	f.Add([]byte(`{"type":"FINISHED","data":"text"}`))
	f.Add([]byte(`{"type":"STARTED","at":"0000-00-00"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var e Event
		if json.Unmarshal(text, &e) != nil {
			return
		}
		if written, err := json.Marshal(e); err == nil {
			var back Event
			if err := json.Unmarshal(written, &back); err != nil {
				t.Fatalf("%s cannot be read: %v", written, err)
			}
			if twice, err := json.Marshal(back); err != nil || string(twice) != string(written) {
				t.Errorf("%s became %s: %v", written, twice, err)
			}
			if diff := cmp.Diff(e.Reason, back.Reason); diff != "" && !e.Reason.IsZero() {
				t.Error(diff)
			}
		}
		if d := decoders[e.Type]; d != nil {
			d(t, e)
			return
		}
		for _, d := range decoders {
			d(t, e)
		}
	})
}
