/** Where an agent can be run. */
export const places = ["vm", "ecs", "kubernetes"] as const;
export type Place = (typeof places)[number];

/** The commands that put an agent's file in place and start it, ready to paste into a shell. */
export function installCommands(place: Place, file: string, version: string): string {
  return { vm: onVM(file), ecs: onECS(file), kubernetes: onKubernetes(file, version) }[place];
}

// The quoted word keeps the shell's hands off what stands in the file.
const here = (file: string) => `<<'PIPED'\n${file}PIPED`;

function onVM(file: string): string {
  return `# bin/penstock and install/systemd are in the repository of Penstock
sudo install -m 0755 bin/penstock /usr/local/bin/penstock
id penstock >/dev/null 2>&1 || sudo useradd --system --home-dir /var/lib/penstock --shell /usr/sbin/nologin penstock
sudo install -d -m 0750 -o root -g penstock /etc/penstock
sudo install -m 0640 -o root -g penstock /dev/stdin /etc/penstock/piped.yaml ${here(file)}
sudo install -m 0644 install/systemd/penstock-agent.service /etc/systemd/system/
sudo systemctl daemon-reload
sudo systemctl enable --now penstock-agent
sudo journalctl -u penstock-agent -f
`;
}

function onECS(file: string): string {
  return `# install/ecs-agent says which roles the files need; put your account, cluster and image into them first
base64 -w0 > piped.b64 ${here(file)}
aws ssm put-parameter --name /penstock/agent/config --type SecureString --value file://piped.b64 && rm piped.b64
aws ecs register-task-definition --cli-input-json file://install/ecs-agent/taskdef.json
aws ecs create-service --cli-input-json file://install/ecs-agent/servicedef.json
`;
}

function onKubernetes(file: string, version: string): string {
  return `# build install/Dockerfile and push it; then name your registry here
IMAGE=registry.example.com/penstock:${version || "latest"}
kubectl create namespace penstock
kubectl --namespace penstock create secret generic penstock-agent --from-file=piped.yaml=/dev/stdin ${here(file)}
kubectl --namespace penstock apply -f - <<DEPLOYMENT
apiVersion: apps/v1
kind: Deployment
metadata:
  name: penstock-agent
spec:
  replicas: 2
  selector:
    matchLabels: {app: penstock-agent}
  template:
    metadata:
      labels: {app: penstock-agent}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 60
      securityContext: {runAsUser: 10001, runAsNonRoot: true, fsGroup: 10001}
      containers:
        - name: agent
          image: $IMAGE
          args: [agent, --config-file, /etc/penstock/piped.yaml, --data-dir, /var/lib/penstock/agent]
          volumeMounts:
            - {name: config, mountPath: /etc/penstock, readOnly: true}
            - {name: data, mountPath: /var/lib/penstock}
      volumes:
        - name: config
          secret: {secretName: penstock-agent, defaultMode: 0440}
        - name: data
          emptyDir: {}
DEPLOYMENT
`;
}
