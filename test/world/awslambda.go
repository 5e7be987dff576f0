package world

import (
	"path"
)

// LambdaCanary is a pipeline of a function, below spec.
const LambdaCanary = `  pipeline:
    stages:
    - name: LAMBDA_CANARY_ROLLOUT
    - name: LAMBDA_PROMOTE
      with: {percent: 20}
    - name: WAIT
      with: {duration: 60s}
    - name: LAMBDA_PROMOTE
      with: {percent: 100}
`

// LambdaFiles are the files of a function from an image, with a pipeline (what stands below spec, two spaces deep).
func LambdaFiles(name, image, body string) map[string]string {
	return map[string]string{
		AppFile(name): "apiVersion: pipecd.dev/v1beta1\nkind: LambdaApp\nspec:\n  name: " + name + "\n  input:\n    functionManifestFile: function.yaml\n" + body,
		path.Join(name, "function.yaml"): "apiVersion: pipecd.dev/v1beta1\nkind: LambdaFunction\nspec:\n  name: " + name + "\n  role: arn:aws:iam::123456789012:role/" + name +
			"\n  image: " + image + "\n  memory: 512\n  timeout: 10\n  environments:\n    IMAGE: " + image + "\n  tags:\n    team: shop\n",
	}
}
