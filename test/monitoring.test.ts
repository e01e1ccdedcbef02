// The alerts and the dashboard, as files: they are well-formed, name only what there is, and alerts tell what they are to tell.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { problemCatalogue } from '#/model/problem-catalogue.ts'
import { dashboard, dashboardText } from '../scripts/monitoring/dashboard.ts'
import { operatorText } from '../scripts/monitoring/operator.ts'
import { alive, cases, metric } from './monitoring/cases.ts'
import { askedOf, staticConfig } from './monitoring/prometheus.ts'
import { ask, monitoringFile, play, promtool, readMonitoring, readRules, withFile } from './monitoring/rules.ts'

const writeAnew = 'write it anew: node_modules/.bin/node scripts/monitoring-files.ts'
const page = (name: string): string => readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8')

test('what is written from others is up to date', () => {
  assert.equal(readMonitoring('dashboard.json'), dashboardText(), writeAnew)
  assert.equal(readMonitoring('prometheus-operator.yaml'), operatorText(readMonitoring('alerts.yaml')), writeAnew)
})

test('promtool takes rules and configuration', () => {
  promtool('check', 'rules', '--lint-fatal', monitoringFile('alerts.yaml'))
  withFile('config.yaml', stringify(staticConfig([])), (file) => promtool('check', 'config', '--lint-fatal', file))
})

test('agents are found by their pods, over IPv4 and IPv6', () => {
  const targets = [
    { node: 'a', ip: '10.0.0.1' },
    { node: 'b', ip: 'fd00::2' },
    { node: 'c', ip: '10.0.0.3', phase: 'Failed' },
  ]
  const found = withFile('config.yaml', stringify(staticConfig(targets)), (file) =>
    promtool('check', 'service-discovery', '--timeout=1s', file, 'causeway-agent'),
  )
  const labels = (JSON.parse(found) as { labels: Record<string, string> }[]).map((each) => each.labels)
  assert.deepEqual(labels.map(({ job = 'dropped', instance = '', node = '' }) => `${job} ${instance} ${node}`).sort(), [
    'causeway-agent 10.0.0.1:9474 a',
    'causeway-agent [fd00::2]:9474 b',
    'dropped  ',
  ])
})

test('alerts and dashboard ask only for metrics that agents have', () => {
  const names = new Set(
    [...page('metrics.md').matchAll(/^\| `(\w+)` \| (\w+) \|/gm)].flatMap(([, name, kind]) =>
      kind === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => `${name}${suffix}`) : [name!],
    ),
  )
  assert.ok(names.size > 50)
  const exprs = [
    ...readRules().map(({ expr }) => expr),
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ...dashboard.templating.list.map((variable) => JSON.stringify(variable)),
    page('monitoring.md'),
  ]
  const asked = exprs.flatMap((expr) => [...expr.matchAll(/\b(causeway|process)_\w+/g)].map(([name]) => name))
  assert.deepEqual(
    [...new Set(asked)].filter((name) => !names.has(name)),
    [],
  )
})

const exprOf = (title: string): string =>
  askedOf(dashboard.panels.find((each) => each.title === title)!.targets[0]!.expr)
const numbers = dashboard.panels.filter(({ type }) => type === 'stat').map(({ title }) => title)

test('no number of the dashboard is green while no agent answers', () => {
  const answersOf = (value: number | undefined): Record<string, number | undefined> =>
    Object.fromEntries(
      numbers
        .filter((title) => title !== 'Nodes' && title !== 'Fewest addresses left')
        .map((title) => [exprOf(title), value]),
    )
  ask({ 'up{job="causeway-agent", instance="a:9474", node="a"}': '1x20' }, answersOf(0))
  ask({}, answersOf(undefined))
  const none = { ...answersOf(undefined), [exprOf('Agents away')]: 1 }
  ask({ 'up{job="causeway-agent", instance="a:9474", node="a"}': '0x20' }, none)
})

test('two clusters whose nodes have the same names are two', () => {
  const of = (name: string, cluster: string, more = ''): string =>
    `${name}{job="causeway-agent", cluster="${cluster}", instance="a:9474", node="a"${more}}`
  const addresses = (cluster: string, state: string): string =>
    of('causeway_addresses', cluster, `, cidr="10.0.0.0/24", family="ipv4", state="${state}"`)
  const problem = ', code="CW1306", object="node/b", about="kernel", readiness="not ready"'
  ask(
    {
      ...Object.fromEntries(
        ['x', 'y'].flatMap((cluster) => [
          [of('up', cluster), '1x20'],
          [of('causeway_nodes', cluster), '3x20'],
          [of('causeway_problem_since_timestamp_seconds', cluster, problem), '1700000000x20'],
        ]),
      ),
      [addresses('x', 'used')]: '250x20',
      [addresses('x', 'free')]: '0x20',
      [addresses('y', 'used')]: '0x20',
      [addresses('y', 'free')]: '250x20',
    },
    {
      [exprOf('Nodes')]: 6,
      [exprOf('Problems')]: 2,
      [exprOf('Nodes not ready')]: 2,
      [exprOf('Fewest addresses left')]: 0,
    },
  )
})

test('every alert has a severity, says what, where and what to do, and its section of the page', () => {
  const sections = new Set([...page('monitoring.md').matchAll(/^### (\w+)$/gm)].map(([, name]) => name!))
  for (const { alert, labels, annotations } of readRules()) {
    assert.match(alert, /^Causeway[A-Z]\w+$/)
    assert.match(labels['severity'] ?? '', /^(warning|critical)$/, alert)
    assert.deepEqual(Object.keys(annotations), ['summary', 'description', 'runbook'], alert)
    assert.ok(annotations['summary']!.length < 200, alert)
    assert.match(annotations['description']!, /"(causeway|kubectl) /, `${alert} names no command`)
    assert.equal(annotations['runbook'], `docs/monitoring.md#${alert.toLowerCase()}`)
    assert.ok(sections.delete(alert), `docs/monitoring.md has no section ${alert}`)
  }
  assert.deepEqual([...sections], [], 'sections of alerts that there are not')
})

test('alerts fire when they should, and not when it only looks like it', () => play(cases))

/** Codes that other metrics tell, by alerts of their own; a drained node is as its operator wants it. */
const toldOtherwise = ['CW3112', 'CW3303', 'CW3306', 'CW8102', 'CW4108']

test('each problem is told by one alert, whether it makes the node not ready or not', () => {
  const codes = Object.entries(problemCatalogue)
  const series = (readiness: string, nodes: readonly string[]): Record<string, string> =>
    Object.fromEntries(
      codes.flatMap(([code, { about }]) =>
        nodes.map((node) => [
          metric(
            'causeway_problem_since_timestamp_seconds',
            node,
            `code="${code}", object="node/x", about="${about}", readiness="${readiness}"`,
          ),
          '1700000000x60',
        ]),
      ),
    )
  const once = (without: readonly string[]): Record<string, number> =>
    Object.fromEntries(codes.flatMap(([code]) => (without.includes(code) ? [] : [[`code="${code}"`, 1]])))
  play([
    {
      name: 'ready with problems',
      series: { ...alive, ...series('ready with problems', ['a']) },
      fires: [[20, once([...toldOtherwise])]],
      by: 'code',
    },
    {
      name: 'not ready',
      series: { ...alive, ...series('not ready', ['a']) },
      fires: [
        [
          20,
          // these break ways as well, and their alerts come sooner
          { ...once(['CW3303', 'CW3307']), 'code="CW1306"': 2, 'code="CW1307"': 2, 'code="CW8101"': 2 },
        ],
      ],
      by: 'code',
    },
  ])
})
