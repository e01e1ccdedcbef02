import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Denial,
  type ListedPolicy,
  type PolicyListReport,
  type PolicyWhyReport,
  type ToldDirection,
  type ToldPair,
} from '#/api/schemas/policy.ts'
import { denialText, renderDenials } from './policy-denials.ts'
import { podNamed, renderPolicies } from './policy-list-text.ts'
import { isAllowed, whysOf } from './policy-why-merge.ts'
import { renderWhys } from './policy-why-text.ts'

const width = 130
const enforced = { kind: 'enforced' } as const

const free: ToldDirection = {
  direction: 'egress',
  pod: 'shop/web-1',
  node: 'node-1',
  decision: 'no policy selects it',
  isDenied: false,
  isAudited: false,
  policies: [],
  changes: [],
}

const apiRule = {
  index: 0,
  action: 'accept',
  isMatch: false,
  peers: [{ isMatch: false, text: 'app=api in namespace shop does not match app=web' }],
  ports: [{ isMatch: true, text: 'TCP 5432' }],
} as const

const denied: ToldDirection = {
  direction: 'ingress',
  pod: 'db/pg-0',
  node: 'node-2',
  decision: 'networkpolicy/db/only-api selects it, and no rule allows this',
  isDenied: true,
  isAudited: false,
  policies: [{ policy: 'networkpolicy/db/only-api', tier: 'NetworkPolicy', isAsked: true, rules: [apiRule] }],
  changes: [
    {
      what: 'add the label app=api to pod shop/web-1',
      command: 'kubectl label pod -n shop web-1 app=api --overwrite',
      note: 'its template has it not',
    },
    { what: 'add a rule to networkpolicy db/only-api', yaml: '- from:\n  - podSelector: {}\n' },
  ],
}

const pair: ToldPair = {
  from: { addr: '10.244.1.5', pod: 'shop/web-1', node: 'node-1' },
  to: { addr: '10.244.2.7', pod: 'db/pg-0', node: 'node-2' },
  protocol: 'TCP',
  port: 5432,
  egress: free,
  ingress: denied,
  isDropped: true,
}

const kernel = { isThere: true, text: 'table inet causeway-policy, chain in-3f2a: 12 packets denied', denied: 12 }

function report(node: string, changes: Partial<ToldPair> = {}): PolicyWhyReport {
  return { node, state: enforced, pairs: [{ ...pair, ...changes }] }
}

const answer = (value: PolicyWhyReport) => ({ node: value.node, value })

test('each direction is told by the node of its pod, with rules, the kernel and the smallest change', () => {
  const whys = whysOf([
    answer(report('node-1')),
    answer(report('node-2', { ingress: { ...denied, kernel } })),
    answer(report('node-3')),
  ])
  assert.equal(whys.every(isAllowed), false)
  assert.equal(
    renderWhys(whys, width),
    `shop/web-1 (10.244.1.5 on node-1) → db/pg-0 (10.244.2.7 on node-2), TCP 5432
DENIED by ingress of db/pg-0

egress of shop/web-1: allowed: no policy selects it

ingress of db/pg-0: denied: networkpolicy/db/only-api selects it, and no rule allows this
  networkpolicy/db/only-api
    no    ingress[0] accept: app=api in namespace shop does not match app=web
  enforced by table inet causeway-policy, chain in-3f2a: 12 packets denied

to allow it in ingress of db/pg-0: add the label app=api to pod shop/web-1
    kubectl label pod -n shop web-1 app=api --overwrite
    (its template has it not)
  or add a rule to networkpolicy db/only-api`,
  )
})

test('an object to apply is between the marks of a shell, a rule is shown with its command', () => {
  const shown = (change: ToldDirection['changes'][number]): string =>
    renderWhys(whysOf([answer(report('node-2', { ingress: { ...denied, changes: [change] } }))]), width)
  const yaml = 'kind: NetworkPolicy\n'
  assert.ok(
    shown({ what: 'apply it', command: 'kubectl apply -f -', yaml }).endsWith(
      "apply it\nkubectl apply -f - <<'END'\nkind: NetworkPolicy\nEND",
    ),
  )
  assert.ok(
    shown({ what: 'add a rule', command: 'kubectl patch x', yaml: '- from: []\n' }).endsWith(
      'add a rule\n    - from: []\n    kubectl patch x',
    ),
  )
})

test('a node that does not answer, sees it otherwise, or lacks the rules in its kernel is told', () => {
  const missing = { isThere: false, text: 'node-2: 10.244.2.7 in none of the sets' }
  const silent = whysOf([answer(report('node-1')), { node: 'node-2', error: 'no agent answers on node-2' }])
  assert.deepEqual(silent[0]!.notes, [
    'node-2, which enforces ingress of db/pg-0, does not answer: no agent answers on node-2; it is told as node-1 knows it',
  ])
  const [alone] = whysOf([answer(report('node-1'))])
  assert.match(alone!.notes.join(), /^ingress of db\/pg-0 is told as node-1 knows it: run this on node-2 too/)
  const other = { ...denied, isDenied: false, decision: 'no policy selects it' }
  const [split] = whysOf([
    answer(report('node-1', { ingress: other })),
    answer(report('node-2', { ingress: { ...denied, kernel: missing } })),
  ])
  assert.deepEqual(split!.notes, [
    'node-1 sees ingress of db/pg-0 otherwise: no policy selects it; if that lasts, see causeway status there',
  ])
  assert.equal(isAllowed(split!), false)
  assert.match(renderWhys([split!], width), /^! not in the kernel: node-2: 10\.244\.2\.7 in none of the sets/m)
  const waiting = { ...report('node-2'), state: { kind: 'waiting', why: 'the list of pods' } } as const
  assert.match(
    whysOf([answer(waiting)])[0]!.notes.join(),
    /node-2 does not enforce it as told: waiting: the list of pods/,
  )
})

test('without a port: what is allowed, and which rules depend on it', () => {
  const rule = {
    ...apiRule,
    peers: [{ isMatch: true, text: 'app=web' }],
    ports: [{ isMatch: false, text: 'TCP 5432' }],
  }
  const ingress = { ...denied, policies: [{ ...denied.policies[0]!, rules: [rule] }] }
  const { port: _, ...portless } = pair
  const ports = [
    {
      protocol: 'TCP',
      isAllowed: true,
      ranges: [
        { first: 80, last: 80 },
        { first: 8000, last: 8100 },
      ],
    },
    { protocol: 'UDP', isAllowed: true, ranges: [{ first: 0, last: 65_535 }] },
    { protocol: 'ICMP', isAllowed: false },
  ]
  const whys = whysOf([answer({ node: 'node-2', state: enforced, pairs: [{ ...portless, ingress, ports }] })])
  const text = renderWhys(whys, width)
  assert.match(text, /^allowed: TCP 80, 8000-8100; UDP$/m)
  const many = Array.from({ length: 40 }, (_each, index) => ({ first: 1000 + 2 * index, last: 1000 + 2 * index }))
  const [tcp] = ports
  const long = { ...portless, ingress, ports: [{ ...tcp!, ranges: many }] }
  const longText = renderWhys(whysOf([answer({ node: 'node-2', state: enforced, pairs: [long] })]), width)
  assert.match(longText, /^allowed: TCP 1000, 1002, .*, 1018 and 30 more$/m)
  assert.match(text, /^ {4}port {2}ingress\[0\] accept: TCP 5432; app=web$/m)
  assert.ok(whys.every(isAllowed))
  assert.doesNotMatch(text, /^to (allow|deny)/m)
  const none = ports.map(({ protocol }) => ({ protocol, isAllowed: false }))
  const closed = whysOf([answer({ node: 'node-2', state: enforced, pairs: [{ ...portless, ingress, ports: none }] })])
  assert.match(renderWhys(closed, width), /^DENIED, all of it$/m)
  assert.equal(closed.some(isAllowed), false)
})

test('many rules that do not match are counted, and what is audited is told as such', () => {
  const any = { peers: [{ isMatch: true, text: 'any peer' }], ports: [{ isMatch: true, text: 'any port' }] }
  const rules = Array.from({ length: 20 }, (_, index) => ({ ...apiRule, index }))
  const matching = { ...apiRule, index: 20, action: 'deny', isMatch: true, ...any } as const
  const behind = { ...matching, index: 21 }
  const ingress = {
    ...denied,
    isAudited: true,
    policies: [
      {
        policy: 'clusternetworkpolicy/a',
        tier: 'Admin',
        priority: 5,
        isAsked: true,
        rules: [...rules, matching, behind],
      },
      { policy: 'networkpolicy/db/b', tier: 'NetworkPolicy', isAsked: false, rules: [] },
    ],
  } as const
  const text = renderWhys(whysOf([answer(report('node-2', { ingress, isDropped: false }))]), 300)
  assert.equal(text.match(/^ {4}no /gm)?.length, 8)
  assert.doesNotMatch(text, /ingress\[21\]/, 'nobody asked it')
  assert.match(text, /and 12 more that do not match; --json has all/)
  assert.match(
    text,
    /^ {2}clusternetworkpolicy\/a \(Admin 5\)\n(.*\n){8} {4}yes {3}ingress\[20\] deny: any peer; any port$/m,
  )
  assert.match(text, /^ {2}not asked, as it was decided before: networkpolicy\/db\/b$/m)
  assert.match(text, /^ingress of db\/pg-0: would be denied: /m)
  assert.match(text, /^allowed, though ingress of db\/pg-0 would deny it: its namespace is audited$/m)
})

test('the second family is one line where it has the same outcome', () => {
  const v6 = {
    ...pair,
    from: { ...pair.from, addr: 'fd00::5' },
    to: { ...pair.to, addr: 'fd00::7' },
  }
  const text = (second: ToldPair): string =>
    renderWhys(
      whysOf(['node-1', 'node-2'].map((node) => answer({ node, state: enforced, pairs: [pair, second] }))),
      width,
    )
  assert.equal(
    text(v6).split('\n').at(-1),
    'shop/web-1 (fd00::5 on node-1) → db/pg-0 (fd00::7 on node-2), TCP 5432: the same',
  )
  const open = { ...denied, isDenied: false, decision: 'networkpolicy/db/only-api ingress 1 allows it' }
  assert.match(text({ ...v6, ingress: open }), /fd00::7 on node-2\), TCP 5432\nallowed\n\negress/)
})

const onlyApi: ListedPolicy = {
  policy: 'networkpolicy/db/only-api',
  tier: 'NetworkPolicy',
  subject: 'pods app=pg in namespace db',
  pods: 2,
  podsHere: 1,
  rules: [
    {
      direction: 'ingress',
      index: 0,
      action: 'accept',
      text: 'from app=api in namespace shop; TCP 5432',
      connections: 4,
    },
  ],
  faults: [],
}
const typo: ListedPolicy = {
  ...onlyApi,
  policy: 'networkpolicy/shop/typo',
  subject: 'pods app=wbe in namespace shop',
  pods: 0,
  podsHere: 0,
  rules: [],
  faults: [{ field: 'spec.ingress[0].from[1].ipBlock.cidr', why: '"10.0.0/8" is no CIDR: this peer matches nothing' }],
}

function listed(node: string, pod: string, changes: Partial<PolicyListReport> = {}): PolicyListReport {
  const ingress = { policies: ['networkpolicy/db/only-api'], class: 'in-3f2a', isAudited: false, denied: 12 }
  return {
    node,
    state: enforced,
    policies: [onlyApi, typo],
    pods: [
      { pod, addrs: ['10.244.1.5'], ingress },
      { pod: `shop/on-${node}`, addrs: [] },
    ],
    auditedNamespaces: [],
    refused: [],
    ...changes,
  }
}

test('policies of all nodes together, what they select, and what is wrong with them', () => {
  const reports = [listed('node-1', 'db/pg-0'), listed('node-2', 'db/pg-1')]
  assert.equal(
    renderPolicies(reports, {}, width),
    `2 policies, enforced on node-1, node-2

POLICY                     TIER  PODS  HERE  RULES  ALLOWED  DENIED  SELECTS
networkpolicy/db/only-api  -     2     2     1      8        -       pods app=pg in namespace db
networkpolicy/shop/typo    -     0     0     0      -        -       pods app=wbe in namespace shop

PODS  DIRECTION  MODE      DENIED  POLICIES                   WHICH
2     ingress    enforced  24      networkpolicy/db/only-api  db/pg-0, db/pg-1
no policy selects 2 pods: shop/on-node-1, shop/on-node-2

! networkpolicy/shop/typo: spec.ingress[0].from[1].ipBlock.cidr: "10.0.0/8" is no CIDR: this peer matches nothing
! networkpolicy/shop/typo selects no pod: pods app=wbe in namespace shop`,
  )
})

test('one pod: what selects it, with every rule', () => {
  const reports = [listed('node-1', 'db/pg-0'), listed('node-2', 'db/pg-1')]
  assert.equal(
    renderPolicies(reports, { pod: 'pg-1' }, width),
    `2 policies, enforced on node-1, node-2

POLICY                     TIER  PODS  HERE  RULES  ALLOWED  DENIED  SELECTS
networkpolicy/db/only-api  -     2     2     1      8        -       pods app=pg in namespace db

POLICY                     RULE        ACTION  CONNECTIONS  MATCHES
networkpolicy/db/only-api  ingress[0]  accept  8            from app=api in namespace shop; TCP 5432

PODS  DIRECTION  MODE      DENIED  POLICIES                   WHICH
1     ingress    enforced  12      networkpolicy/db/only-api  db/pg-1`,
  )
  assert.equal(renderPolicies(reports, { pod: 'nobody' }, width), undefined)
  assert.match(renderPolicies(reports, { namespace: 'shop' }, width)!, /no policy selects any of 2 pods/)
})

test('nodes that do not enforce, and audited namespaces, are told first', () => {
  const failing = listed('node-2', 'db/pg-1', {
    state: { kind: 'failing', why: 'ENOMEM' },
    auditedNamespaces: ['shop'],
    refused: [{ why: 'not an address of the pod (IPv4)', packets: 2 }],
  })
  const text = renderPolicies([listed('node-1', 'db/pg-0'), failing], {}, width)!
  assert.ok(
    text.startsWith(
      '2 policies\n! enforced on node-1\n! failing: ENOMEM on node-2\naudit in shop: what is denied there is counted, and let through\n',
    ),
    text,
  )
})

test('a pod without a namespace is one in default, or the only one', () => {
  assert.equal(podNamed('web', ['a/web', 'default/web']), 'default/web')
  assert.equal(podNamed('web', ['a/web', 'b/web']), undefined)
  assert.equal(podNamed('web', ['a/web', 'a/x-web']), 'a/web')
  assert.equal(podNamed('b/web', ['a/web']), undefined)
})

test('denials of all nodes, the latest first', () => {
  const nowMs = Date.UTC(2026, 0, 1, 12)
  const denial: Denial = {
    firstMs: nowMs - 60_000,
    lastMs: nowMs - 4000,
    packets: 3,
    direction: 'ingress',
    src: '10.244.1.5',
    dst: '10.244.2.7',
    from: 'shop/web-1',
    to: 'db/pg-0',
    protocol: 'TCP',
    port: 5432,
    by: 'networkpolicy/db/only-api',
    isAudited: false,
  }
  const { port: _, ...ping } = { ...denial, protocol: 'ICMP', lastMs: nowMs - 90_000, isAudited: true }
  const of = (node: string, denials: Denial[]) => ({ node, value: { node, isListening: true, denials, notTold: 0 } })
  const deaf = { node: 'node-3', value: { node: 'node-3', isListening: false, why: 'EPERM', denials: [], notTold: 7 } }
  const shown = { most: 50, width: Infinity, nowMs }
  assert.equal(
    renderDenials([of('node-1', [ping]), of('node-2', [denial]), deaf, { node: 'node-4', error: 'gone' }], shown),
    `LAST     NODE    PACKETS  FROM        TO       PORT      DIRECTION  BY
4s ago   node-2  3        shop/web-1  db/pg-0  TCP 5432  ingress    networkpolicy/db/only-api
90s ago  node-1  3        shop/web-1  db/pg-0  ICMP      ingress    audit, let through: networkpolicy/db/only-api
! node-3 does not hear of denials: EPERM
! node-3: 7 more packets came too fast to be looked at
node-4: gone`,
  )
  assert.match(renderDenials([of('node-1', [ping, denial])], { ...shown, most: 1 }), /and 1 more; --last 2 shows them$/)
  assert.equal(renderDenials([of('node-1', [])], shown), 'nothing was denied')
  assert.equal(denialText(denial), 'denied shop/web-1 → db/pg-0 TCP 5432: networkpolicy/db/only-api (ingress)')
  assert.match(denialText(ping), /^would deny shop/)
})
