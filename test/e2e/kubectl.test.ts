// The real kubectl against the lab's API server: Debian's, and a newer one when CAUSEWAY_KUBECTL names it.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { writeKubeconfig } from '#/lab/api/kubeconfig.ts'
import { TestServer } from '#/lab/api/testing.ts'

type Output = { readonly code: number; readonly stdout: string; readonly stderr: string }

class Kubectl {
  readonly #binary: string
  readonly #home: string

  constructor(binary: string, server: TestServer) {
    this.#binary = binary
    this.#home = join(server.directory, 'home')
    mkdirSync(this.#home)
    writeKubeconfig(join(this.#home, 'kubeconfig'), {
      server: server.url,
      ca: server.certificates.ca,
      token: server.token,
      name: 'lab',
    })
  }

  get env(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      HOME: this.#home,
      KUBECONFIG: join(this.#home, 'kubeconfig'),
      KUBECACHEDIR: join(this.#home, 'cache'),
    }
  }

  async run(args: string, input = ''): Promise<Output> {
    const { promise, resolve } = Promise.withResolvers<Output>()
    const child = execFile(
      this.#binary,
      args.split(' '),
      { env: this.env, timeout: 30_000 },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : 1, stdout, stderr })
      },
    )
    child.stdin?.end(input)
    return promise
  }

  /** Standard output of a command that must succeed. */
  async ok(args: string, input = ''): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, input)
    assert.equal(code, 0, `kubectl ${args}: ${stderr}`)
    return stdout.trim()
  }

  spawn(args: string): ReturnType<typeof spawn> {
    return spawn(this.#binary, args.split(' '), { env: this.env, stdio: ['ignore', 'pipe', 'inherit'] })
  }
}

const nodeYaml = `
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {node-role.kubernetes.io/worker: ""}}
spec: {podCIDR: 10.244.1.0/24}
status:
  addresses: [{type: InternalIP, address: 192.168.0.1}, {type: InternalIP, address: "fd00::1"}]
  conditions: [{type: Ready, status: "True", reason: KubeletReady, message: ready}]
  capacity: {cpu: "4", memory: 8Gi, pods: "110"}
  nodeInfo: {kubeletVersion: v1.33.0, osImage: Debian, kernelVersion: "6.1", containerRuntimeVersion: causeway://1, machineID: a, systemUUID: b, bootID: c, kubeProxyVersion: "", operatingSystem: linux, architecture: amd64}
`

const podYaml = (image: string): string => `
apiVersion: v1
kind: Pod
metadata: {name: p1, labels: {app: web}}
spec:
  nodeName: n1
  containers: [{name: a, image: "${image}", ports: [{containerPort: 80}], env: [{name: A, value: "1"}]}]
`

const definitionYaml = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer, minimum: 1}}}}}
`

function suiteFor(binary: string): void {
  let server: TestServer
  let kubectl: Kubectl
  before(async () => {
    server = await TestServer.start()
    kubectl = new Kubectl(binary, server)
    await kubectl.ok('apply -f -', nodeYaml)
  })
  after(() => server[Symbol.asyncDispose]())

  test('nodes are shown as on any cluster', async () => {
    const [head = '', row = ''] = (await kubectl.ok('get nodes -o wide')).split('\n')
    assert.match(
      head,
      /^NAME +STATUS +ROLES +AGE +VERSION +INTERNAL-IP +EXTERNAL-IP +OS-IMAGE +KERNEL-VERSION +CONTAINER-RUNTIME$/,
    )
    assert.match(row, /^n1 +Ready +worker +\d+s +v1.33.0 +192.168.0.1 +<none> +Debian +6.1 +causeway:\/\/1$/)
    assert.match(await kubectl.ok('describe node n1'), /PodCIDR: +10.244.1.0\/24/)
    await kubectl.ok('cordon n1')
    assert.match(await kubectl.ok('get node n1'), /Ready,SchedulingDisabled/)
    await kubectl.ok('uncordon n1')
    await kubectl.ok('taint node n1 a=b:NoSchedule')
    await kubectl.ok('taint node n1 a=b:NoSchedule-')
  })

  test('a pod is applied, looked at, changed and deleted', async () => {
    assert.equal(await kubectl.ok('apply -f -', podYaml('nginx:1.25')), 'pod/p1 created')
    assert.equal(await kubectl.ok('apply -f -', podYaml('nginx:1.25')), 'pod/p1 unchanged')
    assert.equal(await kubectl.ok('apply -f -', podYaml('nginx:1.26')), 'pod/p1 configured')
    assert.equal(await kubectl.ok('get pod p1 -o jsonpath={.spec.containers[0].image}'), 'nginx:1.26')
    const [head = '', row = ''] = (await kubectl.ok('get pods -o wide')).split('\n')
    assert.match(head, /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES$/)
    assert.match(row, /^p1 +0\/1 +Pending +0 +\d+s +<none> +n1 +<none> +<none>$/)
    await kubectl.ok('label pod p1 tier=front')
    await kubectl.ok('annotate pod p1 note=yes')
    await kubectl.ok('patch pod p1 -p {"metadata":{"labels":{"by":"strategic"}}}')
    await kubectl.ok('patch pod p1 --type=merge -p {"metadata":{"labels":{"tier":null}}}')
    await kubectl.ok('patch pod p1 --type=json -p [{"op":"add","path":"/metadata/labels/json","value":"yes"}]')
    assert.equal(await kubectl.ok('get pods -l by=strategic,json=yes,!tier -o name'), 'pod/p1')
    assert.match(await kubectl.ok('describe pod p1'), /Image: +nginx:1.26/)
    const waiting = kubectl.ok('wait --for=delete pod/p1 --timeout=20s')
    assert.match(await kubectl.ok('delete pod p1 --wait=false'), /pod "p1" deleted/)
    assert.match(await kubectl.ok('get pod p1'), /Terminating/)
    await kubectl.ok('delete pod p1 --grace-period=0 --force')
    await waiting
    assert.match((await kubectl.run('get pod p1')).stderr, /Error from server \(NotFound\): pods "p1" not found/)
  })

  test('server-side apply keeps owners apart', async () => {
    const map = (value: string): string =>
      JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'ssa' }, data: { a: value } })
    assert.equal(await kubectl.ok('apply --server-side -f -', map('1')), 'configmap/ssa serverside-applied')
    const refused = await kubectl.run('apply --server-side --field-manager=other -f -', map('2'))
    assert.match(refused.stderr, /Apply failed with 1 conflict: conflict with "kubectl": .data.a/)
    await kubectl.ok('apply --server-side --field-manager=other --force-conflicts -f -', map('2'))
    assert.equal(await kubectl.ok('get cm ssa -o jsonpath={.data.a}'), '2')
    assert.equal(
      await kubectl.ok('apply --server-side --dry-run=server --force-conflicts -f - -o name', map('3')),
      'configmap/ssa',
    )
    assert.equal(await kubectl.ok('get cm ssa -o jsonpath={.data.a}'), '2')
  })

  test('objects are made, replaced and removed with their namespace', async () => {
    await kubectl.ok('create namespace shop')
    await kubectl.ok('create configmap c -n shop --from-literal=k=v')
    await kubectl.ok('create secret generic s -n shop --from-literal=k=v')
    await kubectl.ok('create service clusterip web -n shop --tcp=80:8080')
    assert.equal(await kubectl.ok('get secret s -n shop -o jsonpath={.data.k}'), Buffer.from('v').toString('base64'))
    const json = await kubectl.ok('get configmap c -n shop -o json')
    assert.equal(await kubectl.ok('replace -f -', json.replace('"k": "v"', '"k": "w"')), 'configmap/c replaced')
    assert.match((await kubectl.run('replace -f -', json)).stderr, /the object has been modified/)
    await kubectl.ok('delete namespace shop')
    assert.match(await kubectl.ok('get ns'), /^NAME +STATUS +AGE\ndefault +Active/)
    assert.equal(await kubectl.ok('get configmaps -n shop -o name'), '')
  })

  test('what kubectl create makes is the same by its own encoding as by JSON', async () => {
    const creations = [
      'deployment web --image=x --replicas=2 --port=80 -- sleep 1',
      'rolebinding reads --role=reader --user=jane --serviceaccount=default:web',
      'clusterrole all --verb=get --resource=pods,deployments.apps --non-resource-url=/healthz',
      'clusterrole sum --aggregation-rule=a=b',
    ]
    // kubectl prints an unset time as null
    const content = (text: string): unknown => ({
      ...(JSON.parse(text, (_, value: unknown) => value ?? undefined) as object),
      metadata: 'what the server gave each object',
    })
    const compare = async (creation: string): Promise<void> => {
      const own = await kubectl.ok(`create --dry-run=server -o json ${creation}`)
      const file = await kubectl.ok(`create --dry-run=client -o json ${creation}`)
      const plain = await kubectl.ok('create --dry-run=server -o json -f -', file)
      assert.deepEqual(content(own), content(plain), creation)
    }
    await Promise.all(creations.map(compare))
  })

  test('a watch prints changes as they come', { timeout: 30_000 }, async (t) => {
    const child = kubectl.spawn('get configmaps -w --no-headers')
    t.after(() => child.kill())
    let printed = ''
    const { promise, resolve } = Promise.withResolvers<void>()
    child.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
      if (/^seen +1 +\d+s$/m.test(printed)) resolve()
    })
    await kubectl.ok('create configmap seen --from-literal=a=b')
    await promise
    child.kill()
    await once(child, 'close')
  })

  test('events are listed', async () => {
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'e' },
      involvedObject: { kind: 'Pod', namespace: 'default', name: 'x' },
      reason: 'Started',
      message: 'it began',
      type: 'Normal',
      count: 1,
      firstTimestamp: new Date().toISOString(),
      lastTimestamp: new Date().toISOString(),
    }
    await kubectl.ok('create -f -', JSON.stringify(event))
    const [head = '', row = ''] = (await kubectl.ok('get events')).split('\n')
    assert.match(head, /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE$/)
    assert.match(row, /^\d+s +Normal +Started +pod\/x +it began$/)
  })

  test('custom resources work like built-in ones', async () => {
    await kubectl.ok('apply -f -', definitionYaml)
    await kubectl.ok('wait --for condition=established crd/widgets.example.com --timeout=20s')
    const widget = (size: number): string =>
      JSON.stringify({ apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w' }, spec: { size } })
    await kubectl.ok('apply -f -', widget(3))
    assert.match(await kubectl.ok('get wd'), /^NAME +SIZE\nw +3$/)
    assert.match(
      (await kubectl.run('apply -f -', widget(0))).stderr,
      /spec.size in body should be greater than or equal to 1/,
    )
    assert.match(await kubectl.ok('explain widget.spec'), /size\s+<integer>/)
    await kubectl.ok('delete crd widgets.example.com')
  })

  test('network policies are applied, looked at, changed and deleted', async () => {
    const policy = (port: string): string => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-web}
spec:
  podSelector: {matchLabels: {app: db}, matchExpressions: [{key: tier, operator: In, values: [b, a]}]}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
    ports: [{port: ${port}}]
`
    assert.equal(await kubectl.ok('apply -f -', policy('5432')), 'networkpolicy.networking.k8s.io/only-web created')
    assert.equal(await kubectl.ok('apply -f -', policy('pg')), 'networkpolicy.networking.k8s.io/only-web configured')
    assert.match(await kubectl.ok('get netpol'), /^NAME +POD-SELECTOR +AGE\nonly-web +app=db,tier in \(a,b\) +\d+s$/)
    const described = await kubectl.ok('describe netpol only-web')
    for (const line of [
      /PodSelector: +app=db,tier in \(a,b\)/,
      /To Port: pg\/TCP/,
      /CIDR: 10\.0\.0\.0\/8/,
      /Not affecting egress/,
    ])
      assert.match(described, line)
    await kubectl.ok('patch netpol only-web -p {"spec":{"egress":[{}],"policyTypes":["Ingress","Egress"]}}')
    assert.equal(await kubectl.ok('get netpol only-web -o jsonpath={.spec.egress}'), '[{}]')
    assert.match(await kubectl.ok('explain netpol.spec.policyTypes'), /the directions that the policy is about/)
    assert.match((await kubectl.run('apply -f -', policy('0'))).stderr, /port: Invalid value: 0: must be between 1 and/)
    assert.match(await kubectl.ok('delete netpol only-web'), /"only-web" deleted/)
  })

  test('namespaces have their name as a label, and labels that are given', async () => {
    await kubectl.ok('create namespace team')
    await kubectl.ok('label ns team team=a')
    assert.equal(await kubectl.ok('get ns -l kubernetes.io/metadata.name=team,team=a -o name'), 'namespace/team')
    assert.equal(await kubectl.ok('get ns -l kubernetes.io/metadata.name=default -o name'), 'namespace/default')
    await kubectl.ok('delete namespace team')
  })

  test('explain and api-resources know the kinds, and mistakes are found before they are stored', async () => {
    assert.match(await kubectl.ok('explain node.spec.podCIDRs'), /The IP ranges of the node's pods/)
    assert.match(await kubectl.ok('api-resources'), /leases +coordination.k8s.io\/v1 +true +Lease/)
    const wrong = await kubectl.run('apply -f -', podYaml('x').replace('nodeName', 'nodename'))
    assert.equal(wrong.code, 1)
    assert.match(wrong.stderr, /unknown field "(spec\.)?nodename"/)
  })
}

const binaries = [
  '/usr/bin/kubectl',
  ...(process.env['CAUSEWAY_KUBECTL'] === undefined ? [] : [process.env['CAUSEWAY_KUBECTL']]),
]
for (const binary of binaries) suite(binary, () => suiteFor(binary))
