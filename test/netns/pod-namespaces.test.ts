// How the agent gets at pods' namespaces that it does not see where the runtime has them: newer iproute2 makes /run/netns a mount of its
// own, and what is mounted there later does not reach an agent that runs already. The shim passes open files along.
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CniServer } from '#/agent/cni/server.ts'
import { leakOf } from '#/agent/endpoints/endpoint-gc.ts'
import { PodRefresher } from '#/agent/pods/pod-refresh.ts'
import { silent } from '#/lib/log.ts'
import { namespaceAt } from '#/sys/namespaces.ts'
import { TestNetns } from './namespace.ts'
import { codeOf, podNetwork, PodNode } from './pod-node.ts'

const buildDir = mkdtempSync(join(tmpdir(), 'pod-namespaces-build-'))
after(() => rmSync(buildDir, { recursive: true }))
const shim = join(buildDir, 'causeway-cni')
execFileSync('gcc', ['-O2', '-static', '-s', '-o', shim, 'native/cni-shim.c'])

/** pass SOCKET COUNT PATH FRAME WAITS: sends the frame with COUNT descriptors of PATH, and prints what comes back unless WAITS is empty. */
const pass = join(buildDir, 'pass')
execFileSync('gcc', ['-x', 'c', '-o', pass, '-'], {
  input: `
    #include <fcntl.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/un.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
      struct sockaddr_un to = {.sun_family = AF_UNIX};
      static union { char bytes[CMSG_SPACE(253 * sizeof(int))]; struct cmsghdr aligned; } control;
      int socketFd = socket(AF_UNIX, SOCK_STREAM, 0), count = atoi(argv[2]);
      strcpy(to.sun_path, argv[1]);
      if (argc != 6 || connect(socketFd, (struct sockaddr *)&to, sizeof to)) return 1;
      struct iovec part = {argv[4], strlen(argv[4])};
      /* NUL does not go through argv */
      for (char *each = argv[4]; *each; each++) if (*each == '|') *each = 0;
      struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
      if (count) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
        passed->cmsg_level = SOL_SOCKET;
        passed->cmsg_type = SCM_RIGHTS;
        passed->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (int each = 0; each < count; each++) {
          int fd = open(argv[3], O_RDONLY);
          memcpy(CMSG_DATA(passed) + each * sizeof fd, &fd, sizeof fd);
        }
      }
      if (sendmsg(socketFd, &message, 0) < 0) return 2;
      if (!*argv[5]) return 0;
      char answer[4096];
      for (ssize_t got; (got = read(socketFd, answer, sizeof answer)) > 0;) write(1, answer, got);
    }`,
})

function openFiles(): number {
  return readdirSync('/proc/self/fd').length
}

/** A client may have its answer a moment before the server closes what belongs to the call. */
async function assertOpenFiles(count: number, message = ''): Promise<void> {
  for (let tries = 0; openFiles() !== count && tries < 400; tries++) await sleep(5)
  assert.equal(openFiles(), count, message || 'open files')
}

/** How many files are open once nothing is under way any more. */
async function steadyFiles(): Promise<number> {
  for (let before = openFiles(); ; before = openFiles()) {
    await sleep(20)
    if (openFiles() === before) return before
  }
}

async function run(command: string, args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}): Promise<string> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env['PATH'], ...env } })
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  return await text(child.stdout)
}

/** A node whose agent is this process, and a runtime in a mount namespace of its own, which mounts pods' namespaces where only it sees them. */
class HiddenPods implements AsyncDisposable {
  readonly node = new PodNode()
  readonly socketPath = join(this.node.folder, 'cni.sock')
  readonly folder = join(this.node.folder, 'netns')
  readonly #server: CniServer
  readonly #runtime: ChildProcess

  constructor() {
    mkdirSync(this.folder)
    this.#runtime = spawn('unshare', ['-m', '--propagation', 'private', 'cat'])
    this.#server = new CniServer(
      { socketPath: this.socketPath, spoolDir: join(this.node.folder, 'spool'), receiveTimeoutMs: 300 },
      {
        handle: async (request, _signal, files) =>
          request.kind === 'status' ? { kind: 'ok' } : this.node.handler.handle(request, files),
        log: silent,
      },
    )
  }

  static async start(): Promise<HiddenPods> {
    const made = new HiddenPods()
    await made.#server.start()
    // what it echoes shows that it is in its mount namespace
    made.#runtime.stdin!.write('here\n')
    await once(made.#runtime.stdout!, 'data')
    return made
  }

  /** Unmounts a pod's namespace, as a runtime does when the pod has ended. */
  unmount(path: string): void {
    execFileSync('nsenter', this.#inside('umount', path))
  }

  #inside(...command: string[]): readonly string[] {
    return ['-t', String(this.#runtime.pid), '-m', '--', ...command]
  }

  /** Mounts a pod's namespace in the runtime's folder, unseen by this process; returns its path there. */
  hide(name: string, pod: TestNetns): string {
    const path = join(this.folder, name)
    writeFileSync(path, '')
    pod.netns.run(() => execFileSync('nsenter', this.#inside('mount', '--bind', '/proc/self/ns/net', path)))
    assert.equal(namespaceAt(path).kind, 'other')
    return path
  }

  /** A call as the runtime makes it; returns what the shim prints. */
  async call(command: string, netns: string, config: object = {}): Promise<string> {
    return await run(
      'nsenter',
      this.#inside(shim),
      JSON.stringify({ cniVersion: '1.1.0', name: 'causeway', type: 'causeway-cni', ...config }),
      {
        CNI_COMMAND: command,
        CNI_CONTAINERID: 'hidden',
        CNI_IFNAME: 'eth0',
        CNI_NETNS: netns,
        CAUSEWAY_CNI_SOCKET: this.socketPath,
        CAUSEWAY_CNI_SPOOL: join(this.node.folder, 'spool'),
      },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#runtime.stdin!.end()
    await this.#server[Symbol.asyncDispose]()
    this.node[Symbol.dispose]()
  }
}

test('a pod whose namespace the agent does not see is wired, checked, changed while it runs, and deleted', async () => {
  await using hidden = await HiddenPods.start()
  using pod = new TestNetns()
  const { node } = hidden
  const { datapaths, store, namespaces } = node
  const path = hidden.hide('pod', pod)
  const result = JSON.parse(await hidden.call('ADD', path))
  assert.equal(result.interfaces[1].sandbox, path)
  assert.match(pod.sh('ip -br addr show eth0'), /UP +10\.244\.1\.2\/29 fd10:244:0:1::2\/64/)
  const [endpoint] = node.store.list()
  const filesAfterOne = await steadyFiles()
  assert.equal(await hidden.call('CHECK', path, { prevResult: result }), '')

  // later, without a call: as by the folder that came with the last one
  const refresher = new PodRefresher({ datapaths, store, namespaces, log: silent })
  await refresher.refresh({ ...podNetwork, deviceMtuBytes: 1400 }, false)
  assert.match(pod.sh('ip link show eth0'), /mtu 1400/)
  node.host.sh(`ip link del ${endpoint!.hostDevice}`)
  assert.equal(leakOf(node.netlink, node.namespaces, endpoint!), undefined, 'a pod that lives is not leaked')

  JSON.parse(await hidden.call('ADD', path))
  assert.equal(await hidden.call('DEL', path), '')
  assert.equal(pod.sh('ip -br link show type veth'), '')
  await assertOpenFiles(filesAfterOne, 'only the folder stays open')
})

test('a namespace that the runtime has removed is not wired, though its descriptor is open', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  using other = new TestNetns()
  const folder = openSync('/run/netns', 'r')
  const add = (path: string): number => codeOf(node.call('ADD', 'late', path, { files: [pod.netns.fd, folder] }))
  try {
    assert.equal(add(`${pod.path}-gone`), 3)
    assert.equal(add(other.path), 3, 'the path was used again')
    assert.equal(add(pod.path), 0)
  } finally {
    closeSync(folder)
  }
})

test('the namespace itself is not kept open: it ends when the runtime lets go of it', async () => {
  await using hidden = await HiddenPods.start()
  const { node } = hidden
  {
    using pod = new TestNetns()
    const path = hidden.hide('pod', pod)
    await hidden.call('ADD', path)
    assert.equal(node.host.ip('link show type veth').length, 1)
    hidden.unmount(path)
  }
  node.host.sh('for i in $(seq 200); do [ -z "$(ip -br link show type veth)" ] && exit 0; sleep 0.02; done; exit 1')
})

test('a client that passes what it should not is refused or heard, and no file of it stays open', async () => {
  const request = (netns: string): string => {
    const env = ['CNI_COMMAND=ADD', 'CNI_CONTAINERID=h', 'CNI_IFNAME=eth0', `CNI_NETNS=${netns}`].map(
      (each) => `${each}|`,
    )
    const stdin = '{"cniVersion":"1.1.0","name":"causeway","type":"causeway-cni"}'
    const size = (value: string): string => String(Buffer.byteLength(value)).padStart(8, '0')
    return `causeway-cni 1 ${size(env.join(''))} ${size(stdin)}\n${env.join('')}${stdin}`
  }

  await using hidden = await HiddenPods.start()
  using pod = new TestNetns()
  const frame = request(pod.path)
  const client = (count: number, path: string, bytes = frame, waits = 'waits'): Promise<string> =>
    run(pass, [hidden.socketPath, String(count), path, bytes, waits])
  await client(0, '/', 'GET / HTTP/1.1\r\nHost: somewhere.example\r\n\r\n')
  const before = await steadyFiles()
  assert.match(await client(1, '/etc/hostname'), /"code":4,"msg":"CNI_NETNS: \S+ is no namespace"/)
  assert.match(await client(1, '/proc/self/ns/uts'), /"code":5,/)
  assert.match(await client(1, '/proc/self/ns/net'), /"code":4,.*node's own namespace/)
  for (const count of [3, 4, 253]) assert.match(await client(count, pod.path), /"code":100,.*more open files/)
  assert.match(await client(2, pod.path, 'GET / HTTP/1.1\r\nHost: somewhere.example\r\n\r\n'), /"code":100/)
  // it hangs up in the middle of the header, and of what comes after it
  assert.equal(await client(2, pod.path, frame.slice(0, 20), ''), '')
  assert.equal(await client(2, pod.path, frame.slice(0, 60), ''), '')
  // it sends no more, and does not hang up
  assert.equal(await client(2, '/proc/self/ns/uts', frame.slice(0, 60)), '')
  await assertOpenFiles(before)
  assert.deepEqual(hidden.node.store.list(), [])
})

test('an agent that knows nothing of passed files reads the call as ever, and none stays open', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'older-agent-'))
  const socketPath = join(dir, 'cni.sock')
  // as the agent read until it knew
  const frames: string[] = []
  const server = createServer((socket) => {
    socket.on('data', (bytes) => frames.push(String(bytes)))
    socket.on('data', () => socket.end('causeway-cni 1 00000000 00000000\n'))
  })
  server.listen(socketPath)
  await once(server, 'listening')
  try {
    using pod = new TestNetns()
    const before = await steadyFiles()
    for (let turn = 0; turn < 3; turn++) {
      const env = { CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'c', CNI_IFNAME: 'eth0', CNI_NETNS: pod.path }
      assert.equal(await run(shim, [], '{}', { ...env, CAUSEWAY_CNI_SOCKET: socketPath }), '')
    }
    assert.match(frames[0]!, /^causeway-cni 1 [^]*CNI_NETNS=\/run\/netns[^]*\{\}$/)
    await assertOpenFiles(before)
  } finally {
    await new Promise((resolve) => server.close(resolve))
    rmSync(dir, { recursive: true })
  }
})
