//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/git"
	_ "github.com/penstock-cd/penstock/internal/store/sqlite" // the driver
	"github.com/penstock-cd/penstock/test/kit"
)

// control is a word beside a secret that is no secret: a search that does not find it either proves nothing.
const control = "DB_PASSWORD"

// markers are planted secrets by where they were put in.
type markers struct {
	secrets  map[string]string
	controls map[string]bool // where the control was found
}

func (m markers) plant(where string) string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	m.secrets[where] = "marker" + hex.EncodeToString(b)
	return m.secrets[where]
}

// absent fails the test for each marker that the bytes hold, as it is or in base64.
func (m markers) absent(t *testing.T, where string, data []byte) {
	t.Helper()
	if bytes.Contains(data, []byte(control)) {
		m.controls[where] = true
	}
	for name, secret := range m.secrets {
		// Three of four characters of base64 do not depend on what stands before, once the first two are left out.
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))[:40], shifted(secret, 1), shifted(secret, 2)} {
			if i := bytes.Index(data, []byte(form)); i >= 0 {
				t.Errorf("the secret of the %s is in %s: …%q…", name, where, data[max(0, i-60):min(len(data), i+12)])
				break
			}
		}
	}
}

// shifted is the part of the base64 form of a longer text that a secret at offset n modulo 3 always gives.
func shifted(secret string, n int) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", n) + secret))[4:40]
}

// Secrets that people type into the configuration of every part are looked for in all that Penstock keeps and shows.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	m := markers{secrets: map[string]string{}, controls: map[string]bool{}}
	user := url.UserPassword("deployer", m.plant("git password"))
	r := newRingWith(t, ringOptions{settle: "1s", ideal: true, alone: true, gitUser: user, hook: m.plant("webhook"), log: "debug", more: moreSecrets(m)})
	m.secrets["admin password"] = adminPassword
	m.secrets["login"] = r.token
	m.secrets["agent key"] = r.agents["a"].conf.Key
	m.secrets["AWS key"] = r.cloud.Credentials().SecretAccessKey
	m.plant("parameter")
	m.plant("environment")
	m.plant("later environment")
	_, err := ssm.NewFromConfig(r.cloud.AWSConfig()).PutParameter(t.Context(), &ssm.PutParameterInput{
		Name: aws.String("/shop/token"), Type: ssmtypes.ParameterTypeSecureString, Value: aws.String(m.secrets["parameter"]),
	})
	must(t, err)
	r.task = func(version string) string {
		env := m.secrets["environment"]
		if version != "v1" {
			env = m.secrets["later environment"] // the difference is shown to people
		}
		return kit.TaskFile("shop", version) + fmt.Sprintf(
			"    environment:\n      - {name: "+control+", value: %s}\n    secrets:\n      - {name: TOKEN, valueFrom: arn:aws:ssm:us-east-1:123456789012:parameter/shop/token}\n", env)
	}
	r.apiKey(m)
	r.badRepository(m)
	r.first()
	d := r.ship()
	r.ends(d.Id, time.Minute)
	r.sameSecretFails(m)
	r.scriptFails(m)
	backup := filepath.Join(t.TempDir(), "backup")
	wantVerb(t, 0, nil, "backup", "--data-dir", r.data, "--to", backup)

	read := r.readAPI(t, m)
	pages := r.readPages(t, m)
	r.agents["a"].run.stop()
	r.server.stop()
	for _, p := range []*program{r.agents["a"].run, r.server.program} {
		m.absent(t, "the log of the "+p.name, []byte(p.err.String()))
		m.absent(t, "the output of the "+p.name, []byte(p.out.String()))
	}
	files, rows, blobs := searchData(t, m, r.data)
	mirrors, _, _ := searchData(t, m, r.agents["a"].dir)
	copied, _, _ := searchData(t, m, backup)
	if read < 20 || rows < 50 || blobs < 3 {
		t.Errorf("looked at %d answers, %d values of the database and %d blobs: too few to mean anything", read, rows, blobs)
	}
	blob := func(where string) bool { return strings.HasPrefix(where, "blob ") }
	if !m.controls["penstock.v1.DeploymentService.GetChanges"] || !slices.ContainsFunc(slices.Collect(maps.Keys(m.controls)), blob) {
		t.Errorf("the name beside a secret, which may be seen, was found in %v only: the search does not see the difference between versions", m.controls)
	}
	r.users.sum()
	figures(t, map[string]any{"test": "secrets", "markers": len(m.secrets), "answers": read, "pages": pages, "files": files + mirrors + copied, "database_values": rows, "blobs": blobs})
}

// moreSecrets are those of an agent's configuration that no deployment of this test needs: they are read all the same, and
// warnings quote files.
func moreSecrets(m markers) string {
	data := func(where string) string { return base64.StdEncoding.EncodeToString([]byte(m.plant(where))) }
	return fmt.Sprintf(`  git:
    sshKeyData: %s
  secretManagement:
    type: KEY_PAIR
    config:
      privateKeyData: %s
      publicKeyData: %s
  analysisProviders:
    - name: prometheus
      type: PROMETHEUS
      config:
        address: http://127.0.0.1:1
        username: ann
        password: %s
  notifications:
    routes:
      - {name: all, receiver: slack}
    receivers:
      - name: slack
        slack: {channelID: C1, oauthToken: %s}
      - name: hook
        webhook: {url: "http://127.0.0.1:1", signatureValue: %s}
`, data("ssh key"), data("private key"), base64.StdEncoding.EncodeToString([]byte("public")), m.plant("analysis password"), m.plant("slack token"), m.plant("webhook signature"))
}

// apiKey makes a key, reads with it, and tries to log in with a password that is none: what is refused is logged.
func (r *ring) apiKey(m markers) {
	r.t.Helper()
	made, err := r.api.Projects.CreateAPIKey(r.t.Context(), connect.NewRequest(&penstockv1.CreateAPIKeyRequest{RequestId: "key", Name: "robot", Role: "viewer"}))
	must(r.t, err)
	m.secrets["API key"] = made.Msg.Key
	_, err = client.New(client.Config{Server: r.server.url, Token: made.Msg.Key}).Deployments.ListDeployments(r.t.Context(), connect.NewRequest(&penstockv1.ListDeploymentsRequest{}))
	must(r.t, err)
	for _, c := range []client.Config{{Server: r.server.url, Token: m.plant("unknown token")}, {Server: r.server.url}} {
		login := &penstockv1.LoginRequest{Username: "admin", Password: m.plant("wrong password " + c.Token)}
		if _, err := client.New(c).Projects.Login(r.t.Context(), connect.NewRequest(login)); err == nil {
			r.t.Error("a wrong password logs in")
		}
		if _, err := client.New(c).Deployments.ListDeployments(r.t.Context(), connect.NewRequest(&penstockv1.ListDeploymentsRequest{})); err == nil {
			r.t.Error("an unknown token reads")
		}
	}
}

// scriptFails ships a pipeline with a script that this version does not run: neither its text nor its environment is repeated.
func (r *ring) scriptFails(m markers) {
	r.t.Helper()
	file := kit.AppFile("shop", r.route, canaryStages[0], fmt.Sprintf("{name: SCRIPT_RUN, with: {run: \"echo %s\", env: {%s: %s}}}", m.plant("script"), control, m.plant("script environment")))
	r.version++
	files := map[string]string{"shop/app.pipecd.yaml": file, "shop/taskdef.yaml": r.task(r.now())}
	before, err := r.newest()
	must(r.t, err)
	_, err = r.git.Commit(r.t.Context(), repo, "main", "Run a script", files, git.Signature{Name: "Ring", Email: "ring@localhost"})
	must(r.t, err)
	await(r.t, time.Minute, "the failure of the script", func() (bool, error) {
		d, err := r.newest()
		if err == nil && (d.Id == before.Id || d.Display != "FAILURE") {
			err = errors.New("the newest is " + d.Id + ", " + d.Display)
		}
		return true, err
	})
}

// badRepository gives the agent a second repository that cannot be reached, with a password in its address: errors name addresses.
func (r *ring) badRepository(m markers) {
	a := r.agents["a"]
	a.run.stop()
	a.conf.Repositories["gone"] = "http://deployer:" + m.plant("password of a repository that is gone") + "@127.0.0.1:1/gone.git"
	a.conf.Repositories["refused"] = strings.Replace(r.remote, "://", "://deployer:"+m.plant("refused password")+"@", 1)
	r.startAgent(a)
}

// sameSecretFails ships a version whose file cannot be used, with a secret in it: errors quote files.
func (r *ring) sameSecretFails(m markers) {
	r.t.Helper()
	good := r.task
	defer func() { r.task = good }()
	r.task = func(v string) string {
		return good(v) + "    notAField: " + m.plant("misplaced value") + "\n      broken: [" + m.plant("broken value") + "\n"
	}
	d := r.ship()
	r.reach(d.Id, "the failure", time.Minute, func(d *penstockv1.Deployment, _ *penstockv1.Stage) bool { return d.FinishedAt != nil })
}

// readAPI calls everything that reads, as the admin, and looks at the answers as JSON. What is added to the API later is called too.
func (r *ring) readAPI(t *testing.T, m markers) (answers int) {
	t.Helper()
	for _, args := range r.places(t) {
		protoregistry.GlobalFiles.RangeFilesByPackage("penstock.v1", func(f protoreflect.FileDescriptor) bool {
			for i := range f.Services().Len() {
				s := f.Services().Get(i)
				for j := range s.Methods().Len() {
					method := s.Methods().Get(j)
					reads := slices.ContainsFunc([]string{"List", "Get", "WhoAmI"}, func(p string) bool { return strings.HasPrefix(string(method.Name()), p) })
					if !reads || s.Name() == "AgentService" || method.IsStreamingServer() {
						continue
					}
					answers++
					m.absent(t, string(method.FullName()), r.post(t, method, args))
				}
			}
			return true
		})
	}
	list := r.deployments(t)
	for _, d := range list {
		for _, s := range d.Stages {
			var log bytes.Buffer
			err := r.api.StageLog(t.Context(), client.LogRequest{Deployment: d.Id, Stage: s.Id}, func(b []byte) error { _, err := log.Write(b); return err })
			must(t, err)
			answers++
			m.absent(t, "the log of stage "+s.Name, log.Bytes())
		}
	}
	return answers
}

func (r *ring) deployments(t *testing.T) []*penstockv1.Deployment {
	t.Helper()
	var out struct{ Deployments []struct{ ID string } }
	method := find(t, "penstock.v1.DeploymentService", "ListDeployments")
	must(t, json.Unmarshal(r.post(t, method, nil), &out))
	var list []*penstockv1.Deployment
	for _, d := range out.Deployments {
		got, err := r.get(d.ID)
		must(t, err)
		list = append(list, got)
	}
	return list
}

func find(t *testing.T, service, method protoreflect.Name) protoreflect.MethodDescriptor {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	must(t, err)
	return d.(protoreflect.ServiceDescriptor).Methods().ByName(method)
}

// places are the arguments with which reading calls are made: each deployment, each stream.
func (r *ring) places(t *testing.T) []map[string]string {
	t.Helper()
	out := []map[string]string{{}}
	list := r.deployments(t)
	for _, d := range list {
		for _, kind := range []string{"deployment", "application", "agent", "project"} {
			id := map[string]string{"deployment": d.Id, "application": d.ApplicationId, "agent": r.agents["a"].conf.ID, "project": project}[kind]
			out = append(out, map[string]string{"application": d.ApplicationId, "application_id": d.ApplicationId, "deployment_id": d.Id, "stream_kind": kind, "stream_id": id})
		}
	}
	return out
}

// post calls a method with those arguments that its request has, and gives the JSON of the answer, also that of an error.
func (r *ring) post(t *testing.T, method protoreflect.MethodDescriptor, args map[string]string) []byte {
	t.Helper()
	in := dynamicpb.NewMessage(method.Input())
	for i := range method.Input().Fields().Len() {
		f := method.Input().Fields().Get(i)
		if v, ok := args[string(f.Name())]; ok && f.Kind() == protoreflect.StringKind && !f.IsList() {
			in.Set(f, protoreflect.ValueOfString(v))
		}
	}
	body, err := protojson.Marshal(in)
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("%s/%s/%s", r.server.url, method.Parent().FullName(), method.Name()), bytes.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+r.token)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	must(t, err)
	return answer
}

// readPages looks at what a browser and a collector of metrics get.
func (r *ring) readPages(t *testing.T, m markers) (pages int) {
	t.Helper()
	for _, path := range []string{"/", "/applications", "/deployments", "/login", "/metrics", "/readyz"} {
		res, err := http.Get(r.server.url + path)
		must(t, err)
		page, err := io.ReadAll(res.Body)
		must(t, err)
		must(t, res.Body.Close())
		m.absent(t, "the page "+path, page)
		pages++
	}
	return pages
}

// searchData looks into every file of the data directory as it is, into every value of the databases and every blob unpacked.
func searchData(t *testing.T, m markers, dir string) (files, rows, blobs int) {
	t.Helper()
	dec, err := zstd.NewReader(nil)
	must(t, err)
	defer dec.Close()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		name := filepath.Base(path)
		if info, err := d.Info(); name == "git-ssh-key" && err == nil && info.Mode().Perm() == 0o600 {
			return nil // for ssh, which reads keys from files that nobody else may read
		}
		m.absent(t, name, data)
		switch filepath.Ext(path) {
		case ".zst":
			unpacked, err := dec.DecodeAll(data, nil)
			must(t, err)
			m.absent(t, "blob "+name, unpacked)
			blobs++
		case ".db":
			rows += searchDatabase(t, m, dec, path)
		}
		return nil
	}))
	return files, rows, blobs
}

func searchDatabase(t *testing.T, m markers, dec *zstd.Decoder, path string) (values int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	for _, table := range strings.Fields(oneColumn(t, db, "SELECT group_concat(name, ' ') FROM sqlite_schema WHERE type = 'table'")) {
		rows, err := db.QueryContext(context.Background(), `SELECT * FROM "`+table+`"`)
		must(t, err)
		columns, err := rows.Columns()
		must(t, err)
		for rows.Next() {
			row := make([]any, len(columns))
			for i := range row {
				row[i] = new([]byte)
			}
			must(t, rows.Scan(row...))
			for i, v := range row {
				value := *v.(*[]byte)
				where := fmt.Sprintf("%s of table %s in %s", columns[i], table, filepath.Base(path))
				m.absent(t, where, value)
				if len(value) > 1 && value[0] == 1 { // a compressed body
					if unpacked, err := dec.DecodeAll(value[1:], nil); err == nil {
						m.absent(t, where, unpacked)
					}
				}
				values++
			}
		}
		must(t, rows.Err())
		must(t, rows.Close())
	}
	return values
}

func oneColumn(t *testing.T, db *sql.DB, query string) (text string) {
	t.Helper()
	must(t, db.QueryRowContext(context.Background(), query).Scan(&text))
	return text
}
