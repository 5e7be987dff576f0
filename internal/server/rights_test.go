package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/policy"
)

// The least that a caller must be, for every method of every service. A new
// method without a row fails.
const (
	anyone   = "anyone"
	viewer   = "viewer"
	operator = "operator"
	admin    = "admin"
	agent    = "agent"
)

var least = map[string]string{
	"ApplicationService/ListApplications": viewer, "ApplicationService/GetApplication": viewer, "ApplicationService/AddApplication": admin,
	"ApplicationService/SetApplicationEnabled": admin, "ApplicationService/DeleteApplication": admin, "ApplicationService/SyncApplication": operator,
	"ApplicationService/ListDiscoveredApplications": viewer, "ApplicationService/GetLiveState": viewer, "ApplicationService/GetDrift": viewer,

	"DeploymentService/ListDeployments": viewer, "DeploymentService/GetDeployment": viewer, "DeploymentService/ListEvents": viewer,
	"DeploymentService/CancelDeployment": operator, "DeploymentService/ApproveStage": operator, "DeploymentService/RejectStage": operator,
	"DeploymentService/SkipStage": operator, "DeploymentService/RetryDeployment": operator, "DeploymentService/ReadStageLog": viewer, "DeploymentService/GetChanges": viewer,

	"ProjectService/Login": anyone, "ProjectService/Logout": viewer, "ProjectService/WhoAmI": viewer, "ProjectService/GetProject": viewer, "ProjectService/UpdateProject": admin, "ProjectService/GetWebhooks": viewer,
	"ProjectService/ListAgents": viewer, "ProjectService/RegisterAgent": admin, "ProjectService/AddAgentKey": admin, "ProjectService/RemoveAgentKey": admin,
	"ProjectService/SetAgentEnabled": admin, "ProjectService/CreateAPIKey": admin, "ProjectService/ListAPIKeys": admin, "ProjectService/RevokeAPIKey": admin,
	"ProjectService/Search": viewer, "ProjectService/GetPreferences": viewer, "ProjectService/SetFavourite": viewer, "ProjectService/SaveView": viewer, "ProjectService/DeleteView": viewer,

	"WatchService/Watch": viewer, "DecisionService/Ask": viewer, "DecisionService/ListCommands": viewer, "DeploymentService/RollBackTo": operator,

	"AgentService/Hello": agent, "AgentService/Renew": agent, "AgentService/Leave": agent, "AgentService/Wait": agent, "AgentService/GetWork": agent, "AgentService/ReportHead": agent,
	"AgentService/ReportFiles": agent, "AgentService/Report": agent, "AgentService/PutJournal": agent, "AgentService/AppendLog": agent, "AgentService/PutBlob": agent,
	"AgentService/GetBlob": agent, "AgentService/ReportLive": agent, "AgentService/AnswerQuestion": agent,
}

// ladder says whom the word of a row lets in.
var ladder = map[string][]string{anyone: {viewer, operator, admin, agent}, viewer: {viewer, operator, admin}, operator: {operator, admin}, admin: {admin}, agent: {agent}}

// methods lists the methods of all services of the wire.
func methods() (out []protoreflect.MethodDescriptor) {
	protoregistry.GlobalFiles.RangeFilesByPackage("penstock.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				out = append(out, f.Services().Get(i).Methods().Get(j))
			}
		}
		return true
	})
	return out
}

func rowOf(m protoreflect.MethodDescriptor) string {
	return string(m.Parent().Name()) + "/" + string(m.Name())
}

// ask calls any method with named fields of its request set and gives what
// came back as text. A stream is read until it ends or a second is over.
func ask(r *rig, m protoreflect.MethodDescriptor, token string, fields map[string]string) (string, error) {
	r.Helper()
	in := dynamicpb.NewMessage(m.Input())
	for name, v := range fields {
		if f := m.Input().Fields().ByName(protoreflect.Name(name)); f != nil && f.Kind() == protoreflect.StringKind && !f.IsList() {
			in.Set(f, protoreflect.ValueOfString(v))
		}
	}
	raw, err := proto.Marshal(in)
	if err != nil {
		r.Fatal(err)
	}
	var req emptypb.Empty
	req.ProtoReflect().SetUnknown(raw)
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	c := connect.NewClient[emptypb.Empty, emptypb.Empty](r.client(), "http://server/"+string(m.Parent().FullName())+"/"+string(m.Name()), as(token))
	if token == "" {
		c = connect.NewClient[emptypb.Empty, emptypb.Empty](r.client(), "http://server/"+string(m.Parent().FullName())+"/"+string(m.Name()))
	}
	text := func(e *emptypb.Empty) string {
		out := dynamicpb.NewMessage(m.Output())
		if err := proto.Unmarshal(e.ProtoReflect().GetUnknown(), out); err != nil {
			r.Fatal(err)
		}
		return protojson.Format(out)
	}
	if !m.IsStreamingServer() {
		res, err := c.CallUnary(ctx, connect.NewRequest(&req))
		if err != nil {
			return "", err
		}
		return text(res.Msg), nil
	}
	stream, err := c.CallServerStream(ctx, connect.NewRequest(&req))
	if err != nil {
		return "", err
	}
	defer stream.Close()
	var all strings.Builder
	for stream.Receive() {
		all.WriteString(text(stream.Msg()))
	}
	if err := stream.Err(); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		return all.String(), err
	}
	return all.String(), nil
}

// outcome tells the three answers of the door apart.
func outcome(err error) string {
	switch connect.CodeOf(err) {
	case connect.CodePermissionDenied:
		return "denied"
	case connect.CodeUnauthenticated:
		return "unknown"
	default:
		return "in"
	}
}

func TestEveryMethodAsksForItsRight(t *testing.T) {
	known := map[string]bool{}
	onRig(t, nil, func(r *rig) {
		for _, m := range methods() {
			row := rowOf(m)
			known[row] = true
			need, ok := least[row]
			if !ok {
				r.Errorf("%s has no row in the table of who may call it", row)
				continue
			}
			for _, who := range []string{viewer, operator, admin, agent} {
				token := r.credential(who, policy.Role(who)) // a new one: Logout ends it
				_, err := ask(r, m, token, nil)
				want := "denied"
				if has(ladder[need], who) {
					want = "in"
				}
				// An agent's call without a session is refused behind the door, with a reason.
				if got := outcome(err); got != want && !(need == anyone) && !(need == agent && who == agent && detail(err).GetReason() != "") {
					r.Errorf("%s as %s: %s (%v), want %s", row, who, got, err, want)
				}
			}
			if _, err := ask(r, m, "", nil); outcome(err) != "unknown" && need != anyone {
				r.Errorf("%s as nobody: %v", row, err)
			}
		}
	})
	for row := range least {
		if !known[row] {
			t.Errorf("the table has %s, which no service has", row)
		}
	}
}

// TestBadCredentialsOpenNothing asks every method with credentials that were good once.
func TestBadCredentialsOpenNothing(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		issue := func(c credential) string {
			c.Project = "default"
			secret, _, err := r.srv.issue(r.Context(), entry{project: "default"}, c, noFact)
			if err != nil {
				r.Fatal(err)
			}
			return secret
		}
		key := must[*connect.Response[penstockv1.CreateAPIKeyResponse]](r)(r.project.CreateAPIKey(r.Context(), connect.NewRequest(&penstockv1.CreateAPIKeyRequest{Name: "ci", Role: "admin"}))).Msg.Key
		keys := must[*connect.Response[penstockv1.ListAPIKeysResponse]](r)(r.project.ListAPIKeys(r.Context(), connect.NewRequest(&penstockv1.ListAPIKeysRequest{}))).Msg.Keys
		if len(keys) != 1 || keys[0].Name != "ci" || keys[0].Role != "admin" || keys[0].Expired || strings.Contains(keys[0].String(), key) {
			r.Fatalf("keys: %v", keys)
		}
		revoke := func(id string) error {
			_, err := r.project.RevokeAPIKey(r.Context(), connect.NewRequest(&penstockv1.RevokeAPIKeyRequest{KeyId: id}))
			return err
		}
		if err := revoke(keys[0].Id); err != nil {
			r.Fatal(err)
		}
		wantCode(r, "revoked twice", revoke(keys[0].Id), deploy.CodeNotFound, "")
		disabled, disabledKey := r.agent("disabled")
		if _, err := r.project.SetAgentEnabled(r.Context(), connect.NewRequest(&penstockv1.SetAgentEnabledRequest{AgentId: disabled})); err != nil {
			r.Fatal(err)
		}
		past := time.Now().Add(-time.Second)
		bad := map[string]string{
			"a revoked key": key, "a disabled agent": disabledKey, "an unknown secret": "psk_unknown", "an agent that is gone": issue(credential{Kind: "agent", Owner: "gone", Role: policy.RoleAgent}),
			"an expired session": issue(credential{Kind: "session", Owner: "ann", Role: policy.RoleAdmin, ExpiresAt: past}),
			"an expired key":     issue(credential{Kind: "key", Owner: "ci", Role: policy.RoleAdmin, ExpiresAt: past}),
		}
		for _, m := range methods() {
			if least[rowOf(m)] == anyone {
				continue
			}
			for name, token := range bad {
				if _, err := ask(r, m, token, nil); outcome(err) != "unknown" {
					r.Errorf("%s with %s: %v", rowOf(m), name, err)
				}
			}
		}
	})
}

// TestProjectsAndAgentsAreApart asks every method for things of another
// project, and every method of the agents' link for things of another agent.
func TestProjectsAndAgentsAreApart(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("victim-agent")
		p := r.join(id, key, "one")
		app := p.register("victim-app")
		d := p.moved("", "c1", app)
		fields := map[string]string{
			"application_id": app, "application": app, "deployment_id": d, "agent_id": id, "stream_kind": "application", "stream_id": app, "stage_id": "roll", "query": "victim",
			"key_id": "k", "session_id": p.session, "repo_id": "repo", "path": "victim-app", "branch": "main", "name": "n", "event_id": "e",
		}
		before := r.application(app)
		secret, _, err := r.srv.issue(r.Context(), entry{project: "other"}, credential{Kind: "session", Project: "other", Owner: "eve", Role: policy.RoleAdmin, ExpiresAt: time.Now().Add(time.Hour)}, noFact)
		if err != nil {
			r.Fatal(err)
		}
		_, otherKey := r.agent("other-agent")
		other := r.join("", otherKey, "two")
		none := func(row, as, text string, err error) {
			r.Helper()
			for _, mark := range []string{app, d, id, p.session, "victim"} {
				if strings.Contains(text, mark) || err != nil && !strings.Contains(detail(err).GetObject(), mark) && strings.Contains(detail(err).GetReason(), mark) {
					r.Errorf("%s as %s tells of another's %s: %s %v", row, as, mark, text, err)
				}
			}
		}
		for _, m := range methods() {
			row := rowOf(m)
			switch {
			case least[row] == anyone || row == "ProjectService/Logout":
			case least[row] != agent:
				text, err := ask(r, m, secret, fields)
				none(row, "a member of another project", text, err)
				changes := least[row] != viewer && row != "ProjectService/ListAPIKeys" && m.Input().Fields().ByName("name") == nil && row != "ProjectService/UpdateProject"
				if changes && err == nil {
					r.Errorf("%s as a member of another project was accepted: %s", row, text)
				}
			default:
				mine := map[string]string{}
				for k, v := range fields {
					mine[k] = v
				}
				if _, err := ask(r, m, other.key, mine); m.Name() != "Leave" && err == nil && m.Input().Fields().ByName("session_id") != nil {
					r.Errorf("%s with another agent's session was accepted", row)
				}
				if m.Name() == "Leave" { // leaving twice is no error; the other session goes on, see below
					continue
				}
				mine["session_id"] = other.session
				text, err := ask(r, m, other.key, mine)
				none(row, "another agent", text, err)
				if m.Input().Fields().ByName("deployment_id") != nil && err == nil || m.Name() == "ReportLive" && err == nil {
					r.Errorf("%s for another agent's thing was accepted: %s", row, text)
				}
			}
		}
		p.work()
		after := r.application(app)
		after.LiveAt, before.LiveAt = nil, nil
		if !proto.Equal(before, after) {
			r.Errorf("the application changed:\n%v\n%v", before, after)
		}
		if got := r.deployment(d).Seq; got == 0 {
			r.Error("the deployment is gone")
		}
	})
}
