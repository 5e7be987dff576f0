package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Load implements platform.Platform.
func (*Platform) Load(ctx context.Context, src platform.Source) (platform.Desired, error) {
	out := platform.Desired{Kind: Kind, AutoRollback: true}
	prov, err := providerOf(src.ProviderConfig)
	if err != nil {
		return out, err
	}
	d := spec.NewDecoder()
	in := decodeInput(d, src.Config)
	for _, st := range src.Config.Stages {
		if strings.HasPrefix(st.Name, "LAMBDA_") {
			decodeStage(d, st.Name, st.With)
		}
	}
	des := &desired{Alias: in.Alias, Settle: prov.Settle}
	root, err := parse(ctx, d, src, in.Manifest)
	if err == nil && root.Exists() {
		decodeManifest(d, root, des)
	}
	warnings, bad := d.Finish()
	if err = spec.Join(bad, err); err != nil {
		return out, err
	}
	out.Warnings = warnings
	if out.Body, err = json.Marshal(des); err != nil {
		return out, fmt.Errorf("encode desired state: %w", err)
	}
	out.Digest = platform.Digest(desiredView(des))
	out.Versions = []deploy.Version{versionOf(des)}
	return out, nil
}

// parse reads the function manifest. A node that does not exist says that nothing can be decoded, and why is noted.
func parse(ctx context.Context, d *spec.Decoder, src platform.Source, name string) (spec.Node, error) {
	at := src.Config.Input.Get("functionManifestFile")
	if !at.Exists() {
		at = src.Config.Input
	}
	full := path.Join(src.App.Path, name)
	if strings.HasPrefix(full, "../") || path.IsAbs(name) {
		d.Fail(at, "name a file in the application's repository", "%s lies outside of the repository", name)
		return spec.Node{}, nil
	}
	data, err := src.Files.ReadFile(ctx, full)
	if errors.Is(err, fs.ErrNotExist) || deploy.CodeOf(err) == deploy.CodeNotFound {
		d.Fail(at, "add the file, or correct functionManifestFile", "the file %s does not exist at commit %s", full, src.Commit.Short())
		return spec.Node{}, nil
	}
	if err != nil {
		return spec.Node{}, fmt.Errorf("read %s: %w", full, err)
	}
	root, _, err := spec.Parse(full, data)
	if err != nil {
		return spec.Node{}, err
	}
	if root.Kind() != spec.ObjectNode {
		d.Fail(root, "", "the file must hold one object, found %s", root.Kind())
		return spec.Node{}, nil
	}
	return root, nil
}

// versionOf is what a person calls the code: the image's tag, or the object's version or name.
func versionOf(d *desired) deploy.Version {
	s := d.Source
	if s.Image != "" {
		name, tag := platform.SplitImage(s.Image)
		return deploy.Version{Kind: "CONTAINER_IMAGE", Name: name, Version: tag, URL: s.Image}
	}
	v := s.ObjectVersion
	if v == "" {
		v = path.Base(s.Key)
	}
	return deploy.Version{Kind: "S3_OBJECT", Name: s.Key, Version: v, URL: "s3://" + s.Bucket + "/" + s.Key}
}
