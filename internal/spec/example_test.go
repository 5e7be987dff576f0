package spec_test

import (
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/internal/spec"
)

// A platform decodes its own part of an application with the kit.
func ExampleDecoder() {
	app, _, err := spec.ReadApplication("app.pipecd.yaml", []byte(`
apiVersion: pipecd.dev/v1beta1
kind: ECSApp
spec:
  name: web
  input:
    taskDefinitionFile: task.yaml
    accesType: ELB
    drain: 30
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	var input struct {
		Task, Access string
		Drain        time.Duration
	}
	d := spec.NewDecoder()
	o := d.Object(app.Input)
	o.StringOr("taskDefinitionFile", &input.Task, "taskdef.json")
	o.Enum("accessType", &input.Access, "ELB", "ELB", "SERVICE_DISCOVERY")
	o.DurationOr("drain", &input.Drain, time.Minute)
	o.Ignore("autoRollback")
	_, err = d.Finish()
	fmt.Println(input.Task, input.Access, input.Drain)
	fmt.Println(err)
	// Output:
	// task.yaml ELB 1m0s
	// app.pipecd.yaml:8:5: spec.input.accesType: unknown key "accesType" (did you mean accessType?)
	// app.pipecd.yaml:9:12: spec.input.drain: must be a duration such as 10s or 1h30m, found the number 30 without a unit (add the unit: 30s for seconds)
}
