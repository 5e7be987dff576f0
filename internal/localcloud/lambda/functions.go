package lambda

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// locked wraps an operation: one at a time under the mutex, and never after Close.
func locked[In, Out any](c *Lambda, f func(*In) (*Out, error)) func(context.Context, *In) (*Out, error) {
	return func(_ context.Context, in *In) (*Out, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closed {
			return nil, context.Canceled
		}
		return f(in)
	}
}

var (
	functionName = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`)
	roleARN      = regexp.MustCompile(`^arn:aws[a-zA-Z-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$`)
)

func (c *Lambda) createFunction(in *awslambda.CreateFunctionInput) (*awslambda.CreateFunctionOutput, error) {
	name, _ := named(aws.ToString(in.FunctionName))
	switch {
	case !functionName.MatchString(name):
		return nil, invalid("1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern", name)
	case !roleARN.MatchString(aws.ToString(in.Role)):
		return nil, invalid("1 validation error detected: Value '%s' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern", aws.ToString(in.Role))
	case c.st.Functions[name] != nil:
		return nil, conflict("Function already exist: %s", name)
	}
	v := &version{}
	f := &v.Config
	f.FunctionName, f.FunctionArn, f.Version, f.Role = aws.String(name), aws.String(c.arn(name)), aws.String(latest), in.Role
	f.Description, f.Handler, f.Runtime, f.KMSKeyArn = aws.String(aws.ToString(in.Description)), in.Handler, in.Runtime, in.KMSKeyArn
	f.MemorySize, f.Timeout = aws.Int32(128), aws.Int32(3) // defaults of the API
	f.EphemeralStorage, f.Architectures = &types.EphemeralStorage{Size: aws.Int32(512)}, []types.Architecture{types.ArchitectureX8664}
	f.TracingConfig, f.PackageType = &types.TracingConfigResponse{Mode: types.TracingModePassThrough}, types.PackageTypeZip
	if in.PackageType != "" {
		f.PackageType = in.PackageType
	}
	if len(in.Architectures) > 0 {
		f.Architectures = in.Architectures
	}
	if in.TracingConfig != nil {
		f.TracingConfig.Mode = in.TracingConfig.Mode
	}
	if err := setConfig(f, &awslambda.UpdateFunctionConfigurationInput{
		MemorySize: in.MemorySize, Timeout: in.Timeout, EphemeralStorage: in.EphemeralStorage, Environment: in.Environment, Layers: in.Layers, VpcConfig: in.VpcConfig,
		DeadLetterConfig: in.DeadLetterConfig,
	}); err != nil {
		return nil, err
	}
	if in.Code == nil {
		return nil, invalid("Code is required")
	}
	if err := c.setCode(v, stored{
		Image: aws.ToString(in.Code.ImageUri), Bucket: aws.ToString(in.Code.S3Bucket), Key: aws.ToString(in.Code.S3Key), ObjectVersion: aws.ToString(in.Code.S3ObjectVersion),
		Zip: in.Code.ZipFile,
	}); err != nil {
		return nil, err
	}
	made := &function{
		Name: name, ARN: c.arn(name), Latest: v, Versions: map[string]*version{}, Aliases: map[string]*alias{}, URLs: map[string]*functionURL{},
		Tags: maps.Clone(in.Tags), Invoked: map[string]int{},
	}
	if made.Tags == nil {
		made.Tags = map[string]string{}
	}
	f.State, f.StateReason, f.StateReasonCode = types.StatePending, aws.String("The function is being created."), types.StateReasonCodeCreating
	c.touch(v)
	c.st.Functions[name] = made
	c.settle(v)
	out := *v
	if in.Publish {
		out = *c.newVersion(made, "")
	}
	return answer(&out), nil
}

// touch gives a changed $LATEST its new revision, and its instances another key.
func (c *Lambda) touch(v *version) {
	c.cfg.Runtime.Retire(v.Key)
	v.Config.RevisionId, v.Config.LastModified, v.Key = aws.String(c.id()), aws.String(c.stamp()), c.id()
}

// settle ends a creation, an update or a publication after a while.
func (c *Lambda) settle(v *version) {
	delay, err := c.cfg.Runtime.Prepare(c.code(v))
	key := v.Key
	c.after(c.cfg.Setup+delay, func() {
		if v.Key != key {
			return
		}
		c.settled(v, err)
	})
}

func (c *Lambda) settled(v *version, err error) {
	f := &v.Config
	created := f.State == types.StatePending
	f.LastUpdateStatus, f.LastUpdateStatusReason, f.LastUpdateStatusReasonCode = types.LastUpdateStatusSuccessful, nil, ""
	if created {
		f.State, f.StateReason, f.StateReasonCode = types.StateActive, nil, ""
	}
	if err != nil {
		f.LastUpdateStatus, f.LastUpdateStatusReason, f.LastUpdateStatusReasonCode = types.LastUpdateStatusFailed, aws.String(err.Error()), types.LastUpdateStatusReasonCodeInvalidImage
		if created {
			f.State, f.StateReason, f.StateReasonCode = types.StateFailed, aws.String(err.Error()), types.StateReasonCodeInvalidImage
		}
	}
	if f.RevisionId = aws.String(c.id()); aws.ToString(f.Version) != latest {
		f.LastUpdateStatus, f.LastUpdateStatusReason, f.LastUpdateStatusReasonCode = types.LastUpdateStatusSuccessful, nil, ""
	}
}

// code is what a version runs.
func (c *Lambda) code(v *version) Code {
	return Code{Image: v.Code.Image, Zip: v.Code.Zip, Runtime: string(v.Config.Runtime), Handler: aws.ToString(v.Config.Handler)}
}

// setCode takes code over if it is of the function's package type and can be run.
func (c *Lambda) setCode(v *version, s stored) error {
	image := v.Config.PackageType == types.PackageTypeImage
	switch {
	case image && s.Image == "":
		return invalid("Provide ImageUri when updating a function with packageType Image.")
	case !image && s.Image != "":
		return invalid("Please don't provide ImageUri when updating a function with packageType Zip.")
	case !image && s.Bucket != "":
		if c.cfg.Object == nil {
			return invalid("Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist")
		}
		zip, err := c.cfg.Object(s.Bucket, s.Key, s.ObjectVersion)
		if err != nil {
			return invalid("Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.")
		}
		s.Zip = zip
	case !image && len(s.Zip) == 0:
		return invalid("Please provide a source for function code.")
	}
	was := v.Code
	v.Code = s
	if err := c.cfg.Runtime.Check(c.code(v)); err != nil {
		v.Code = was
		return invalid("%s", err.Error())
	}
	sum := sha256.Sum256(s.Zip)
	v.Config.CodeSha256, v.Config.CodeSize = aws.String(base64.StdEncoding.EncodeToString(sum[:])), int64(len(s.Zip))
	if image {
		sum = sha256.Sum256([]byte(s.Image))
		v.Config.CodeSha256, v.Config.CodeSize = aws.String(hex.EncodeToString(sum[:])), 0
	}
	return nil
}

// setConfig writes the fields that are given.
func setConfig(f *types.FunctionConfiguration, in *awslambda.UpdateFunctionConfigurationInput) error {
	if m := in.MemorySize; m != nil && (*m < 128 || *m > 32768) {
		return invalid("1 validation error detected: Value '%d' at 'memorySize' failed to satisfy constraint: Member must have value between 128 and 32768", *m)
	}
	if t := in.Timeout; t != nil && (*t < 1 || *t > 900) {
		return invalid("1 validation error detected: Value '%d' at 'timeout' failed to satisfy constraint: Member must have value between 1 and 900", *t)
	}
	if r := in.Role; r != nil && !roleARN.MatchString(*r) {
		return invalid("1 validation error detected: Value '%s' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern", *r)
	}
	if e := in.EphemeralStorage; e != nil && (aws.ToInt32(e.Size) < 512 || aws.ToInt32(e.Size) > 10240) {
		return invalid("1 validation error detected: Value '%d' at 'ephemeralStorage.size' failed to satisfy constraint: Member must have value between 512 and 10240", aws.ToInt32(e.Size))
	}
	for from, to := range map[*string]**string{in.Role: &f.Role, in.Handler: &f.Handler, in.Description: &f.Description, in.KMSKeyArn: &f.KMSKeyArn} {
		if from != nil {
			*to = from
		}
	}
	if in.MemorySize != nil {
		f.MemorySize = in.MemorySize
	}
	if in.Timeout != nil {
		f.Timeout = in.Timeout
	}
	if in.Runtime != "" {
		f.Runtime = in.Runtime
	}
	if in.EphemeralStorage != nil {
		f.EphemeralStorage = in.EphemeralStorage
	}
	if in.Environment != nil {
		f.Environment = nil
		if len(in.Environment.Variables) > 0 {
			f.Environment = &types.EnvironmentResponse{Variables: in.Environment.Variables}
		}
	}
	if in.Layers != nil {
		f.Layers = nil
		for _, l := range in.Layers {
			f.Layers = append(f.Layers, types.Layer{Arn: aws.String(l)})
		}
	}
	if in.VpcConfig != nil {
		f.VpcConfig = nil
		if len(in.VpcConfig.SubnetIds) > 0 {
			f.VpcConfig = &types.VpcConfigResponse{SubnetIds: in.VpcConfig.SubnetIds, SecurityGroupIds: in.VpcConfig.SecurityGroupIds, VpcId: aws.String("vpc-1")}
		}
	}
	if in.DeadLetterConfig != nil {
		f.DeadLetterConfig = in.DeadLetterConfig
	}
	if in.TracingConfig != nil {
		f.TracingConfig = &types.TracingConfigResponse{Mode: in.TracingConfig.Mode}
	}
	return nil
}

// changeable refuses changes of $LATEST while it is set up, or by somebody who has read an older one.
func (f *function) changeable(revision *string) error {
	if err := f.idle(); err != nil {
		return err
	}
	if revision != nil && *revision != aws.ToString(f.Latest.Config.RevisionId) {
		return stale("GetFunction/GetFunctionConfiguration")
	}
	return nil
}

// idle refuses what may not happen while $LATEST is set up (guide, "Lambda function states").
func (f *function) idle() error {
	l := f.Latest.Config
	if l.State == types.StatePending {
		return conflict("The operation cannot be performed at this time. The function is currently in the following state: Pending")
	}
	if l.LastUpdateStatus == types.LastUpdateStatusInProgress {
		return conflict("The operation cannot be performed at this time. An update is in progress for resource: %s", f.ARN)
	}
	return nil
}

func (c *Lambda) updateFunctionConfiguration(in *awslambda.UpdateFunctionConfigurationInput) (*awslambda.UpdateFunctionConfigurationOutput, error) {
	f, _, err := c.function(in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if err := f.changeable(in.RevisionId); err != nil {
		return nil, err
	}
	next := *f.Latest
	if err := setConfig(&next.Config, in); err != nil {
		return nil, err
	}
	*f.Latest = next
	c.update(f)
	return (*awslambda.UpdateFunctionConfigurationOutput)(answer(f.Latest)), nil
}

// update begins an update of $LATEST that ends later.
func (c *Lambda) update(f *function) {
	c.touch(f.Latest)
	l := &f.Latest.Config
	l.LastUpdateStatus, l.LastUpdateStatusReason, l.LastUpdateStatusReasonCode = types.LastUpdateStatusInProgress, aws.String("The function is being updated."), ""
	c.settle(f.Latest)
}

func (c *Lambda) updateFunctionCode(in *awslambda.UpdateFunctionCodeInput) (*awslambda.UpdateFunctionCodeOutput, error) {
	f, _, err := c.function(in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if err := f.changeable(in.RevisionId); err != nil {
		return nil, err
	}
	next := *f.Latest
	if err := c.setCode(&next, stored{
		Image: aws.ToString(in.ImageUri), Bucket: aws.ToString(in.S3Bucket), Key: aws.ToString(in.S3Key), ObjectVersion: aws.ToString(in.S3ObjectVersion), Zip: in.ZipFile,
	}); err != nil {
		return nil, err
	}
	if len(in.Architectures) > 0 {
		next.Config.Architectures = in.Architectures
	}
	if in.DryRun {
		return (*awslambda.UpdateFunctionCodeOutput)(answer(&next)), nil
	}
	*f.Latest = next
	c.update(f)
	out := f.Latest
	if in.Publish {
		out = c.newVersion(f, "")
	}
	return (*awslambda.UpdateFunctionCodeOutput)(answer(out)), nil
}

// look finds what a read asks for: $LATEST, a version, or what an alias names.
func (c *Lambda) look(ref, qualifier *string) (*function, *version, string, error) {
	f, q, err := c.function(ref, qualifier)
	if err != nil {
		return nil, nil, "", err
	}
	number := q
	if a := f.Aliases[q]; a != nil {
		number = a.Version
	}
	v := f.find(number)
	if v == nil {
		return nil, nil, "", missing("Function not found: %s", f.ARN+suffix(q))
	}
	return f, v, q, nil
}

func (c *Lambda) getFunction(in *awslambda.GetFunctionInput) (*awslambda.GetFunctionOutput, error) {
	f, v, q, err := c.look(in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	out := &awslambda.GetFunctionOutput{Configuration: configOf(v, f.ARN+suffix(q)), Code: &types.FunctionCodeLocation{RepositoryType: aws.String("S3")}}
	if v.Code.Image != "" {
		out.Code = &types.FunctionCodeLocation{
			RepositoryType: aws.String("ECR"), ImageUri: aws.String(v.Code.Image), ResolvedImageUri: aws.String(v.Code.Image + "@sha256:" + aws.ToString(v.Config.CodeSha256)),
		}
	}
	if q == "" || q == latest { // tags belong to functions (API, GetFunction: Tags)
		out.Tags = maps.Clone(f.Tags)
	}
	return out, nil
}

func (c *Lambda) getFunctionConfiguration(in *awslambda.GetFunctionConfigurationInput) (*awslambda.GetFunctionConfigurationOutput, error) {
	f, v, q, err := c.look(in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	out := *v
	out.Config.FunctionArn = aws.String(f.ARN + suffix(q))
	return (*awslambda.GetFunctionConfigurationOutput)(answer(&out)), nil
}

func configOf(v *version, arn string) *types.FunctionConfiguration {
	out := v.Config
	out.FunctionArn = &arn
	return &out
}

func (c *Lambda) listFunctions(in *awslambda.ListFunctionsInput) (*awslambda.ListFunctionsOutput, error) {
	names := slices.Sorted(maps.Keys(c.st.Functions))
	page, next, err := paged(names, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &awslambda.ListFunctionsOutput{NextMarker: next, Functions: []types.FunctionConfiguration{}}
	for _, n := range page {
		f := c.st.Functions[n]
		out.Functions = append(out.Functions, f.Latest.Config)
		if in.FunctionVersion == types.FunctionVersionAll {
			for _, v := range f.numbers() {
				out.Functions = append(out.Functions, f.Versions[v].Config)
			}
		}
	}
	return out, nil
}

// paged cuts a list; the marker is the place where the next page begins. Pages have at most 50 entries (API, ListFunctions).
func paged(all []string, marker *string, limit *int32) (page []string, next *string, err error) {
	from, size := 0, 50
	if m := aws.ToString(marker); m != "" {
		if from, err = strconv.Atoi(m); err != nil || from < 0 || from > len(all) {
			return nil, nil, invalid("The marker is not valid: %s", m)
		}
	}
	if limit != nil && *limit > 0 {
		size = min(size, int(*limit))
	}
	to := min(len(all), from+size)
	if to < len(all) {
		next = aws.String(strconv.Itoa(to))
	}
	return all[from:to], next, nil
}

func (c *Lambda) deleteFunction(in *awslambda.DeleteFunctionInput) (*awslambda.DeleteFunctionOutput, error) {
	f, q, err := c.function(in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if q == "" {
		for _, v := range append(slices.Collect(maps.Values(f.Versions)), f.Latest) {
			c.cfg.Runtime.Retire(v.Key)
			v.Key = ""
		}
		delete(c.st.Functions, f.Name)
		return &awslambda.DeleteFunctionOutput{StatusCode: 204}, nil
	}
	v := f.Versions[q]
	switch {
	case q == latest:
		return nil, invalid("$LATEST version cannot be deleted without deleting the function.")
	case v == nil:
		return nil, missing("Function not found: %s", f.ARN+suffix(q))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Aliases)) {
		if a := f.Aliases[name]; a.Version == q || a.Weights[q] > 0 {
			return nil, conflict("Version %s is referenced by alias %s", q, name)
		}
	}
	c.cfg.Runtime.Retire(v.Key)
	v.Key = ""
	delete(f.Versions, q)
	if f.Last == q {
		f.Last = ""
		if left := f.numbers(); len(left) > 0 {
			f.Last = left[len(left)-1]
		}
	}
	return &awslambda.DeleteFunctionOutput{StatusCode: 204}, nil
}
