package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/localcloud"
	"github.com/penstock-cd/penstock/internal/localcloud/demosvc"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/process"
)

func newLocalCloudCommand(s streams) *cobra.Command {
	var listen, profile, stateDir, objects string
	var seed uint64
	var asJSON bool
	var logs logFlags
	cmd := &cobra.Command{
		Use:   "localcloud",
		Short: "Run an AWS-compatible cloud on this machine (ECS, ELBv2, Lambda, SSM, Secrets Manager, STS)",
		Long: `Run a local cloud: tasks are processes behind a weighted HTTP router, functions behind the Lambda runtime interface. It listens on loopback only and prints the
credential of this run; image demo:VERSION runs the built-in demo service.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := localcloud.Options{Listen: listen, Seed: seed, StateDir: stateDir, ListenerAddr: func(int) string { return "127.0.0.1:0" }, FunctionAddr: func() string { return "127.0.0.1:0" }}
			if objects != "" {
				o.Object = objectsIn(objects)
			}
			var err error
			if o.Profile, err = localcloud.ProfileNamed(profile); err != nil {
				return usagef("%w", err)
			}
			if o.Log, err = logs.logger(s); err != nil {
				return err
			}
			return runLocalCloud(cmd.Context(), s, o, asJSON)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&listen, "listen", "127.0.0.1:0", "loopback address of the endpoint")
	fl.StringVar(&profile, "profile", "aws-like", "how it behaves in time: ideal or aws-like")
	fl.StringVar(&stateDir, "state-dir", "", "keep the state of the control planes in this directory")
	fl.StringVar(&objects, "objects", "", "directory that stands for S3: the code of functions lies in BUCKET/KEY")
	fl.Uint64Var(&seed, "seed", 1, "seed of ids and random choices")
	fl.BoolVar(&asJSON, "json", false, "print endpoint and credential as one JSON object")
	logs.add(cmd)
	return cmd
}

// objectsIn reads objects of S3 from files below a directory. Versions are not kept apart.
func objectsIn(dir string) func(bucket, key, version string) ([]byte, error) {
	return func(bucket, key, _ string) ([]byte, error) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		defer func() { _ = root.Close() }()
		return root.ReadFile(path.Join(bucket, key))
	}
}

func runLocalCloud(ctx context.Context, s streams, o localcloud.Options, asJSON bool) error {
	catalogue, err := process.DemoCatalogue()
	if err != nil {
		return err
	}
	rt, err := process.New(process.Options{Catalogue: catalogue})
	if err != nil {
		return err
	}
	defer rt.Close()
	o.Runtime = rt
	cloud, err := localcloud.New(o)
	if err != nil {
		return err
	}
	if err := cloud.Start(ctx); err != nil {
		return err
	}
	cred := cloud.Credentials()
	if asJSON {
		err = json.NewEncoder(s.Out).Encode(map[string]string{
			"endpoint": cloud.Endpoint(), "accessKeyId": cred.AccessKeyID, "secretAccessKey": cred.SecretAccessKey, "adminToken": cloud.AdminToken(),
		})
	} else {
		_, err = fmt.Fprintf(s.Out, "export AWS_ENDPOINT_URL=%s\nexport AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\nexport AWS_DEFAULT_REGION=us-east-1\n",
			cloud.Endpoint(), cred.AccessKeyID, cred.SecretAccessKey)
	}
	if err == nil {
		<-ctx.Done()
	}
	if cerr := cloud.Close(); err == nil {
		err = cerr
	}
	return err
}

// newTaskCommand is what the local cloud runs for image demo:VERSION; the
// runtime configures it by environment.
func newTaskCommand() *cobra.Command {
	return &cobra.Command{
		Use: "task", Hidden: true, Short: "Run the built-in demo service (used by the local cloud)", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if code := demosvc.Main(cmd.Context(), os.Getenv); code != 0 {
				return &statusError{code: code}
			}
			return nil
		},
	}
}
