package ecs

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/platform"
)

// fieldsOfType are the exported fields of an SDK type by their names.
func fieldsOfType(v any) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for f := range reflect.TypeOf(v).Fields() {
		if f.IsExported() && f.Name != "ResultMetadata" {
			out[f.Name] = f.Type
		}
	}
	return out
}

// sample is a value of a type in which everything says something, as deep as it goes; the zero value for what no file can hold.
func sample(t reflect.Type, depth int) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Pointer:
		if inner := sample(t.Elem(), depth); inner.IsValid() {
			v.Set(reflect.New(t.Elem()))
			v.Elem().Set(inner)
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && depth < 8 {
				v.Field(i).Set(sample(f.Type, depth+1))
			}
		}
	case reflect.Slice:
		v.Set(reflect.Append(v, sample(t.Elem(), depth+1)))
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf("Key"), sample(t.Elem(), depth+1))
	case reflect.String:
		v.SetString("sample")
		if m, ok := t.MethodByName("Values"); ok { // the last word: the first one may be the default
			words := m.Func.Call([]reflect.Value{v})[0]
			v.Set(words.Index(words.Len() - 1))
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(7)
	}
	return v
}

// withField is the application's files with one more field in the service definition.
func withField(t *testing.T, name string, value any) files {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	fl := appFiles("1", "")
	fl["shop/servicedef.yaml"] = `{"cluster": "c", "serviceName": "shop", "` + name + `": ` + string(b) + "}"
	return fl
}

// TestEveryFieldOfAServiceHasAVerdict walks all fields that CreateService and UpdateService take: each has a verdict, and what
// the verdict says is done with the field of a file. A field of a newer SDK fails here until somebody has decided.
func TestEveryFieldOfAServiceHasAVerdict(t *testing.T) {
	verdicts := serviceVerdicts()
	all := fieldsOfType(ecs.CreateServiceInput{})
	maps.Copy(all, fieldsOfType(ecs.UpdateServiceInput{}))
	for name := range verdicts {
		if all[name] == nil {
			t.Errorf("%s has a verdict and is no field", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		v, ok := verdicts[name]
		if !ok {
			t.Errorf("%s has no verdict", name)
			continue
		}
		if v.verdict == verdictOurs {
			continue
		}
		typ := all[name]
		if v.verdict == verdictNone || v.verdict == verdictTaskSet {
			typ = fieldsOfType(ecs.CreateServiceInput{})[name]
		}
		value := sample(typ, 0)
		if name == "SchedulingStrategy" {
			value = reflect.ValueOf(ecstypes.SchedulingStrategyReplica)
		}
		if v.verdict == verdictChecked {
			value = reflect.ValueOf(ecstypes.DeploymentController{Type: ecstypes.DeploymentControllerTypeCodeDeploy})
		}
		got, _, err := load(t, withField(t, name, value.Interface()))
		if v.verdict == verdictChecked {
			if err == nil {
				t.Errorf("%s: %v was accepted", name, value)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d, err := platform.DecodeBody[desired]("", got.Body)
		if err != nil {
			t.Fatal(err)
		}
		checkVerdict(t, name, v.verdict, value.Interface(), d, got.Warnings.String())
	}
}

// checkVerdict looks where the value of a field went.
func checkVerdict(t *testing.T, name string, v verdict, value any, d *desired, warnings string) {
	t.Helper()
	field := func(in any) any {
		f := reflect.ValueOf(in).Elem().FieldByName(name)
		if !f.IsValid() {
			return nil
		}
		return plainValue(f)
	}
	created := field(createInput(newService{Cluster: d.Cluster, Name: d.Name, Count: d.Count, Fields: d.Service, Tags: d.Tags}))
	updated := field(updateInput(d.Cluster, d.Name, serviceUpdate{Count: &d.Count, Fields: &d.Service}))
	set := field(setInput(newTaskSet{Shape: d.Shape}))
	want := plainValue(reflect.ValueOf(value))
	warned := strings.Contains(warnings, "has no effect:")
	differs := fixedDifferences(d, &service{})
	var where []string
	for place, got := range map[string]any{"created": created, "updated": updated, "set": set} {
		if got != nil && cmp.Equal(got, want, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported()) {
			where = append(where, place)
		}
	}
	slices.Sort(where)
	expected := map[verdict][]string{verdictService: {"created", "updated"}, verdictTaskSet: {"set"}, verdictFixed: {"created"}, verdictNone: nil}[v]
	if name == "Tags" {
		expected = []string{"created"} // UpdateService takes none: TagResource writes them
	}
	if !slices.Equal(where, expected) {
		t.Errorf("%s (%s): written in %v, want %v; created %v, updated %v, set %v", name, v, where, expected, created, updated, set)
	}
	if warned != (v == verdictNone) {
		t.Errorf("%s (%s): warnings %q", name, v, warnings)
	}
	// REPLICA is the only strategy of such a service.
	if (len(differs) > 0) != (v == verdictFixed && name != "SchedulingStrategy") {
		t.Errorf("%s (%s): needs a new service for %v", name, v, differs)
	}
}

// plainValue is a value in decoded JSON without what says nothing; nil for zero.
func plainValue(v reflect.Value) any {
	b, err := json.Marshal(v.Interface())
	if err != nil {
		return nil
	}
	var out any
	if json.Unmarshal(b, &out) != nil {
		return nil
	}
	if v.IsZero() {
		return nil
	}
	return prune(out, true)
}

// TestEveryFieldOfATaskDefinitionIsRegistered fills every field, as deep as they go, and follows it: from the file to the
// request, from the API back to what is compared; and leaving one out is a difference.
func TestEveryFieldOfATaskDefinitionIsRegistered(t *testing.T) {
	want := sample(reflect.TypeFor[ecs.RegisterTaskDefinitionInput](), 0).Interface().(ecs.RegisterTaskDefinitionInput)
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	fl := appFiles("1", "")
	fl["shop/taskdef.yaml"] = string(b)
	fl["shop/app.pipecd.yaml"] = strings.ReplaceAll(fl["shop/app.pipecd.yaml"], "containerName: web", "containerName: sample")
	got, _, err := load(t, fl)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Warnings) > 0 {
		t.Errorf("warnings: %s", got.Warnings)
	}
	d, err := platform.DecodeBody[desired]("", got.Body)
	if err != nil {
		t.Fatal(err)
	}
	in := registerInput(d.Task, tags{"penstock-step": "t"})
	if n := len(in.Tags); n != 2 || aws.ToString(in.Tags[0].Key) != "sample" {
		t.Errorf("tags %v", in.Tags)
	}
	in.Tags = want.Tags
	if diff := cmp.Diff(plainValue(reflect.ValueOf(want)), plainValue(reflect.ValueOf(*in))); diff != "" {
		t.Errorf("lost between file and request:\n%s", diff)
	}
	live := ecstypes.TaskDefinition{}
	for name := range fieldsOfType(want) {
		if name == "Tags" {
			continue
		}
		to := reflect.ValueOf(&live).Elem().FieldByName(name)
		if !to.IsValid() {
			t.Errorf("%s is registered and not shown: how is a difference found?", name)
			continue
		}
		to.Set(reflect.ValueOf(want).FieldByName(name))
	}
	content := contentOf(&live)
	content.Tags = want.Tags
	if platform.Digest(taskView(content)) != platform.Digest(taskView(d.Task)) {
		t.Errorf("what was registered differs from the file:\n%s", cmp.Diff(taskView(d.Task), taskView(content)))
	}
	for name := range fieldsOfType(want) {
		less := want
		reflect.ValueOf(&less).Elem().FieldByName(name).SetZero()
		c := change.Diff(object{"task": taskView(&less)}, object{"task": taskView(d.Task)}, diffOptions())
		if c.Empty() {
			t.Errorf("%s can go without a difference", name)
		}
	}
}

// TestDefaultsAreNoDrift: what AWS shows where a file says nothing is no difference, in both directions.
func TestDefaultsAreNoDrift(t *testing.T) {
	for name, c := range map[string][2]string{
		"bridge":              {`{"family": "f"}`, `{"family": "f", "networkMode": "bridge"}`},
		"platform":            {`{"family": "f"}`, `{"family": "f", "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}}`},
		"half a platform":     {`{"runtimePlatform": {"cpuArchitecture": "ARM64"}}`, `{"runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}}`},
		"compatibilities":     {`{"requiresCompatibilities": ["EC2", "FARGATE"]}`, `{"requiresCompatibilities": ["FARGATE", "EC2"]}`},
		"units":               {`{"cpu": "1 vCPU", "memory": "2 GB"}`, `{"cpu": "1024", "memory": "2048"}`},
		"efs":                 {`{"volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs"}}]}`, `{"volumes": [{"name": "v", "host": {}, "efsVolumeConfiguration": {"fileSystemId": "fs", "rootDirectory": "/", "transitEncryption": "DISABLED", "authorizationConfig": {"iam": "DISABLED"}}}]}`},
		"docker volume":       {`{"volumes": [{"name": "v", "dockerVolumeConfiguration": {"autoprovision": true}}]}`, `{"volumes": [{"name": "v", "dockerVolumeConfiguration": {"autoprovision": true, "scope": "task", "driver": "local"}}]}`},
		"order of volumes":    {`{"volumes": [{"name": "a"}, {"name": "b"}]}`, `{"volumes": [{"name": "b", "host": {}}, {"name": "a", "host": {}}]}`},
		"proxy":               {`{"proxyConfiguration": {"containerName": "p"}}`, `{"proxyConfiguration": {"containerName": "p", "type": "APPMESH"}}`},
		"empty lists":         {`{"containerDefinitions": [{"name": "a", "image": "i"}]}`, `{"placementConstraints": [], "volumes": [], "containerDefinitions": [{"name": "a", "image": "i", "cpu": 0, "environment": [], "mountPoints": [], "volumesFrom": [], "portMappings": [], "essential": true, "systemControls": []}]}`},
		"health check":        {`{"containerDefinitions": [{"healthCheck": {"command": ["CMD", "x"]}}]}`, `{"containerDefinitions": [{"healthCheck": {"command": ["CMD", "x"], "interval": 30, "timeout": 5, "retries": 3, "startPeriod": 0}}]}`},
		"restart policy":      {`{"containerDefinitions": [{"restartPolicy": {"enabled": true}}]}`, `{"containerDefinitions": [{"restartPolicy": {"enabled": true, "restartAttemptPeriod": 300, "ignoredExitCodes": []}}]}`},
		"ports of awsvpc":     {`{"networkMode": "awsvpc", "containerDefinitions": [{"portMappings": [{"containerPort": 80}]}]}`, `{"networkMode": "awsvpc", "containerDefinitions": [{"portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}]}]}`},
		"order of the rest":   {`{"containerDefinitions": [{"environment": [{"name": "A"}, {"name": "B"}], "ulimits": [{"name": "core"}, {"name": "nofile"}]}]}`, `{"containerDefinitions": [{"ulimits": [{"name": "nofile"}, {"name": "core"}], "environment": [{"name": "B"}, {"name": "A"}]}]}`},
		"version consistency": {`{"containerDefinitions": [{"name": "a"}]}`, `{"containerDefinitions": [{"name": "a", "versionConsistency": "enabled"}]}`},
		"capabilities":        {`{"containerDefinitions": [{"linuxParameters": {"capabilities": {"drop": ["A", "B"]}}}]}`, `{"containerDefinitions": [{"linuxParameters": {"capabilities": {"add": [], "drop": ["B", "A"]}}}]}`},
		"tags of AWS":         {`{"tags": [{"key": "a", "value": "b"}]}`, `{"tags": [{"key": "aws:x", "value": "y"}, {"key": "pipecd-dev-piped", "value": "p"}, {"key": "a", "value": "b"}]}`},
	} {
		var a, b taskDefinition
		if err := json.Unmarshal([]byte(c[0]), &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(c[1]), &b); err != nil {
			t.Fatal(err)
		}
		if platform.Digest(taskView(&a)) != platform.Digest(taskView(&b)) {
			t.Errorf("%s: %s", name, cmp.Diff(taskView(&a), taskView(&b)))
		}
	}
	f := func(field string) serviceFields {
		return serviceFields{PlacementStrategy: []ecstypes.PlacementStrategy{{Type: ecstypes.PlacementStrategyTypeSpread, Field: &field}}}
	}
	for a, b := range map[string]string{"host": "instanceId", "cpu": "CPU", "MEMORY": "memory"} {
		if platform.Digest(fieldsView(f(a))) != platform.Digest(fieldsView(f(b))) {
			t.Errorf("placement by %s and by %s differ", a, b)
		}
	}
	if platform.Digest(fieldsView(serviceFields{PropagateTags: "NONE"})) != platform.Digest(fieldsView(serviceFields{})) {
		t.Error("propagateTags NONE is the default")
	}
}

// TestWhereAnythingGoesTheClusterDecides: a file that names neither launch type nor capacity providers takes the cluster's own
// strategy; one that names them has drift.
func TestWhereAnythingGoesTheClusterDecides(t *testing.T) {
	provider := func(name string, weight int32) ecstypes.CapacityProviderStrategyItem {
		return ecstypes.CapacityProviderStrategyItem{CapacityProvider: &name, Weight: weight}
	}
	live := &snapshot{Service: &service{Sets: []taskSet{{ARN: "s", Status: statusPrimary, Shape: setShape{
		Capacity: []ecstypes.CapacityProviderStrategyItem{provider("FARGATE_SPOT", 3), provider("FARGATE", 1)}, PlatformVersion: "1.4.0",
	}}}}}
	for name, c := range map[string]struct {
		shape setShape
		drift bool
	}{
		"nothing":        {setShape{}, false},
		"the same":       {setShape{Capacity: []ecstypes.CapacityProviderStrategyItem{provider("FARGATE", 1), provider("FARGATE_SPOT", 3)}}, false},
		"other weights":  {setShape{Capacity: []ecstypes.CapacityProviderStrategyItem{provider("FARGATE", 2), provider("FARGATE_SPOT", 3)}}, true},
		"a launch type":  {setShape{LaunchType: ecstypes.LaunchTypeFargate}, true},
		"latest":         {setShape{PlatformVersion: "LATEST"}, false},
		"an old version": {setShape{PlatformVersion: "1.3.0"}, true},
	} {
		want, have := driftViews(&desired{Access: "SERVICE_DISCOVERY", Shape: c.shape, Task: &taskDefinition{}}, live)
		if diff := change.Diff(want["placement"].(object), have["placement"].(object), diffOptions()); diff.Empty() == c.drift {
			t.Errorf("%s: %v", name, diff)
		}
	}
}
