// The objects of the connectivity test in the API. Pure.
import { type Role, type TestNode } from './types.ts'

export const defaultNamespace = 'causeway-test'
/** By it a namespace is known as this command's. */
export const ownLabel = { name: 'causeway.dev/test', value: 'connectivity' } as const
/** Changes while the test runs. */
export const aliveAnnotation = 'causeway.dev/test-alive'
/** The process that runs the test, as `Holder` in ownership.ts writes it. */
export const holderAnnotation = 'causeway.dev/test-holder'

/** At which pods listen; pods of a lab do in any case. */
export const podPort = 8080
export const servicePort = 80

const roleLabel = 'causeway.dev/test-role'
const hairpinLabel = 'causeway.dev/test-hairpin'
const backendLabel = 'causeway.dev/test-backend'

/** Pods with a policy are on so many nodes. */
const mostWalled = 2
/** So many nodes have pods behind the Service: all that may have a packet to it are watched. */
export const mostBackends = 3

export const serviceNames = { all: 'connectivity', hairpin: 'hairpin' } as const

type Labels = Readonly<Record<string, string>>

const ownLabels: Labels = { [ownLabel.name]: ownLabel.value }

export function namespaceObject(name: string, annotations: Readonly<Record<string, string>>) {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: ownLabels, annotations } }
}

/** Answers TCP and UDP in both families. Not what comes from the same port: two of its kind would answer each other forever. */
const listener = `require("http").createServer((_, answer) => answer.end(process.env.HOSTNAME + "\\n")).listen(${podPort})
for (const type of ["udp4", "udp6"]) {
  const socket = require("dgram").createSocket({ type, ipv6Only: type === "udp6" })
  socket.on("error", () => {})
  socket.on("message", (text, { port, address }) => port === ${podPort} || socket.send(text, port, address))
  socket.bind(${podPort})
}`

/** Listens at the port with whatever there is in the image; an image that has nothing for that refuses what comes, which is an answer. */
const listen = `for node in node /causeway/node_modules/.bin/node; do
  command -v "$node" >/dev/null 2>&1 && exec "$node" -e '${listener}'
done
[ -x /agnhost ] && exec /agnhost netexec --http-port=${podPort} --udp-port=-1
exec sleep 86400`

const nobody = 65_534

function podObject(namespace: string, node: string, wish: { name: string; role: Role; labels: Labels; image: string }) {
  const { name, role, labels, image } = wish
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { ...ownLabels, [roleLabel]: role, ...labels } },
    spec: {
      // the node is what is tested: whether a scheduler would choose it does not matter
      nodeName: node,
      tolerations: [{ operator: 'Exists' }],
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 1,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: nobody,
        runAsGroup: nobody,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: 'listen',
          image,
          imagePullPolicy: 'IfNotPresent',
          command: ['/bin/sh', '-c', listen],
          ports: [{ containerPort: podPort }],
          resources: { requests: { cpu: '5m', memory: '24Mi' }, limits: { memory: '128Mi' } },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    },
  }
}

export type PodObject = ReturnType<typeof podObject>

/** The pods of the test, those of the first node first. */
export function podObjects(namespace: string, nodes: readonly TestNode[], image: string): PodObject[] {
  return nodes.flatMap(({ name }, index) => {
    const make = (role: Role, labels: Labels = {}): PodObject =>
      podObject(namespace, name, { name: `${role}-${index + 1}`, role, labels, image })
    return [
      make('client', index === 0 ? { [hairpinLabel]: 'yes' } : {}),
      make('server', index < mostBackends ? { [backendLabel]: 'yes' } : {}),
      ...(index < mostWalled ? [make('walled')] : []),
    ]
  })
}

/** The role of a pod of the test, by its name. */
export function roleOf(name: string): Role | undefined {
  return (['client', 'server', 'walled'] as const).find((role) => name.startsWith(`${role}-`))
}

function serviceObject(namespace: string, name: string, wish: { selector: Labels; type: string }) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, labels: ownLabels },
    spec: {
      ...wish,
      ipFamilyPolicy: 'PreferDualStack',
      ports: [{ name: 'http', protocol: 'TCP', port: servicePort, targetPort: podPort }],
    },
  }
}

export function serviceObjects(namespace: string) {
  return [
    serviceObject(namespace, serviceNames.all, { selector: { [backendLabel]: 'yes' }, type: 'NodePort' }),
    serviceObject(namespace, serviceNames.hairpin, { selector: { [hairpinLabel]: 'yes' }, type: 'ClusterIP' }),
  ]
}

/** Pods with it talk to clients alone. */
export function policyObject(namespace: string) {
  const clients = [{ podSelector: { matchLabels: { [roleLabel]: 'client' } } }]
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'walled', namespace, labels: ownLabels },
    spec: {
      podSelector: { matchLabels: { [roleLabel]: 'walled' } },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: clients }],
      egress: [{ to: clients }],
    },
  }
}
