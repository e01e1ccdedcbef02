// The files of monitoring/, and Prometheus' own tool, which checks rules and plays them with given values.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'

export const monitoringFile = (name: string): string => new URL(`../../monitoring/${name}`, import.meta.url).pathname
export const readMonitoring = (name: string): string => readFileSync(monitoringFile(name), 'utf8')

export type Rule = {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** What alerts are made of: a series that Prometheus writes itself. */
type Recorded = { readonly record: string; readonly expr: string }

export function readRules(): Rule[] {
  const { groups } = parse(readMonitoring('alerts.yaml')) as { groups: { rules: (Rule | Recorded)[] }[] }
  return groups.flatMap(({ rules }) => rules).filter((rule): rule is Rule => 'alert' in rule)
}

export function promtool(...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8' })
  assert.equal(status, 0, `promtool ${args.join(' ')}: ${error?.message ?? ''}${stdout}${stderr}`)
  return stdout + stderr
}

/** The values of a series, one every 30 s, in promtool's notation: "1x10 0x4 _x3". */
export type Series = Readonly<Record<string, string>>
/** How many alerts fire, by their names, at a time in minutes after the begin. */
export type Expected = readonly (readonly [minute: number, firing: Readonly<Record<string, number>>])[]

export type Case = { readonly name: string; readonly series: Series; readonly fires: Expected; readonly by?: string }

function testOf({ name, series, fires, by = 'alertname' }: Case): object {
  return {
    name,
    interval: '30s',
    input_series: Object.entries(series).map(([each, values]) => ({ series: each, values })),
    promql_expr_test: fires.map(([minute, firing]) => ({
      expr: `count by (${by}) (ALERTS{alertstate="firing"})`,
      eval_time: `${minute * 60}s`,
      exp_samples: Object.entries(firing).map(([alert, value]) => ({
        labels: alert.includes('=') ? `{${alert}}` : `{alertname="${alert}"}`,
        value,
      })),
    })),
  }
}

/** Has a file with this text while `work` runs. */
export function withFile<T>(name: string, text: string, work: (file: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), 'causeway-rules-'))
  try {
    const file = join(dir, name)
    writeFileSync(file, text)
    return work(file)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** Asks each expression in the sixth minute of these series; fails where it is not answered with this one number, or, with undefined, with none. */
export function ask(series: Series, answers: Readonly<Record<string, number | undefined>>): void {
  const questions = {
    evaluation_interval: '30s',
    tests: [
      {
        interval: '30s',
        input_series: Object.entries(series).map(([each, values]) => ({ series: each, values })),
        promql_expr_test: Object.entries(answers).map(([expr, value]) => ({
          expr,
          eval_time: '5m',
          exp_samples: value === undefined ? [] : [{ labels: '{}', value }],
        })),
      },
    ],
  }
  withFile('questions.yaml', JSON.stringify(questions), (file) => promtool('test', 'rules', file))
}

/** Plays values against the rules; fails with what promtool says. */
export function play(cases: readonly Case[]): void {
  const rules = { rule_files: [monitoringFile('alerts.yaml')], evaluation_interval: '30s', tests: cases.map(testOf) }
  // JSON is YAML
  withFile('cases.yaml', JSON.stringify(rules), (file) => promtool('test', 'rules', file))
}
